"""Whatever is sent to the hot routes, the answer is one of the documented ones."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import CODES
from tests.unit.ingest.test_front import EVENT, StubbornBus, client, front

BUS = StubbornBus()
FRONT = front(BUS)
STATUSES = {200, 400, 413, 415, 422}
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\0", "\ud800", "\x7f", "2026-03-10T11:59:00Z", "x" * 257, 10**400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*EVENT, "data"]) | st.text(max_size=3), inner, max_size=6
        )
    ),
    max_leaves=12,
)
events = st.builds(
    lambda changes: EVENT | changes, st.dictionaries(st.sampled_from([*EVENT]), anything)
)
batches = st.fixed_dictionaries(
    {
        "node": anything | st.just("n"),
        "epoch": anything | st.just("e"),
        "first_seq": anything | st.integers(1, 100),
        "events": anything | st.lists(events, max_size=3),
    },
    optional={"sealed_through": anything},
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.builds(json.dumps, anything | events | st.lists(events, max_size=4) | batches).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            ["application/json", "application/x-ndjson", "application/cloudevents+json", "a/b", ""]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "zstd", "identity", "", "br"]),
        "Traceparent": st.text(
            st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=9
        ),
    },
)


@given(path=st.sampled_from(["/v1/events", "/v1/batches"]), body=bodies, headers=headers)
@settings(max_examples=400, deadline=None)
async def test_any_request_gets_a_coded_answer(
    path: str, body: bytes, headers: dict[str, Any]
) -> None:
    BUS.forget()
    raw_headers = {name: value.encode("latin-1") for name, value in headers.items()}
    async with client(FRONT) as http:
        answer = await http.post(path, content=body, headers=raw_headers)
    assert answer.status_code in STATUSES, answer.text
    found = answer.json()
    if answer.status_code == 200:
        assert BUS.elements() == len(found["rejected"]) + found.get(
            "accepted", BUS.elements() - len(found["rejected"])
        )
    else:
        assert (found["code"], answer.status_code) in CODES
        assert BUS.elements() == len(found.get("rejected", []))
