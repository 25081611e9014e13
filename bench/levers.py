"""`python -m bench.levers`: CPU microseconds an event of the pure parts of the hot path.

No servers: the same code as in the services, on the same events as in the other benchmarks. Each
figure is the best of several rounds, with the garbage collector as the services set it and as
Python does; what a part makes is thrown away, as in a service.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence

from aggregator.backfill import timed_events
from aggregator.compile import compile_meters
from aggregator.fold import fold
from aggregator.meters import define
from aggregator.store.rollups import staged_rows
from bench.load.events import EVENT_TYPE, Traffic, Truth, event_maker
from bench.metering import METERS
from common.bus.types import Message, Record
from common.contracts.events import decode_events, events_record
from common.contracts.received import decode_envelope, envelope_record
from common.events import elements, validate, validate_all
from common.service import collect_garbage_seldom
from ingest.accept import Acceptance
from ingest.dedupe import Arrival, Places, claims, decide, raws_by_output
from ingest.ledger import Verdict
from ingest.packed.columns import columns_of
from ingest.store.ledger_blocks import GROUPS

EVENTS = 20_000
PER_REQUEST = 500
PARTITIONS = 4
ROUNDS = 9
NOW_MS = 1_795_435_200_000


def parts() -> Iterator[tuple[str, Callable[[], object]]]:
    """(name, one round) of each part; a round does `EVENTS` events."""
    traffic = Traffic(
        seed=7, events=EVENTS, per_request=PER_REQUEST, begin_ms=NOW_MS - 1000, span_ms=1000
    )
    make = event_maker(traffic, Truth.zero(traffic.tenants))
    requests = [
        [one.encode() for one in make(PER_REQUEST, f"bench/app-{number % 32:02d}", None)]
        for number in range(EVENTS // PER_REQUEST)
    ]
    bodies = [b"[" + b",".join(request) + b"]" for request in requests]
    found = [elements(body, "application/json") for body in bodies]
    judged = [[one for chunk in validate_all(each, NOW_MS) for one in chunk] for each in found]

    def accepted() -> Iterator[Acceptance]:
        for each in judged:
            acceptance = Acceptance(NOW_MS)
            acceptance.take(0, each)
            yield acceptance

    envelopes = [one for acceptance in accepted() for one in acceptance.envelopes()]
    received = [envelope_record(envelope) for envelope in envelopes]
    messages = [
        Message("usage.events", 0, offset, NOW_MS, True, record.key, record.value, record.headers)
        for offset, record in enumerate(
            events_record(
                envelope.key,
                [event.raw for event in envelope.events],
                origin=("origin", b"0:0"),
                stamped_at_ms=NOW_MS,
                traceparent=None,
            )
            for envelope in envelopes
        )
    ]
    plan = compile_meters(
        define(
            slug=slug,
            event_type=EVENT_TYPE,
            value=body.get("value"),
            **{name: body[name] for name in ("aggregation", "unit", "group_by")},
        )
        for slug, body in METERS.items()
    )
    timed = timed_events(messages)
    folded = fold(plan, timed)
    ids = {key: number for number, key in enumerate(folded.series)}

    yield "API: elements of a body", lambda: _drain(elements(one, "") for one in bodies)
    yield (
        "API: judged one by one",
        lambda: _drain(validate(0, raw, NOW_MS) for each in found for raw in each),
    )
    yield (
        "API: judged together",
        lambda: _drain(chunk for each in found for chunk in validate_all(each, NOW_MS)),
    )
    yield "API: into envelopes", lambda: _drain(accepted())
    yield "API: envelopes to records", lambda: _drain(envelope_record(one) for one in envelopes)
    yield (
        "deduper: records to envelopes",
        lambda: _drain(decode_envelope(record.value or b"") for record in received),
    )
    yield "deduper: records to fresh bytes, ledger apart", lambda: _deduped(received)
    yield "aggregator: decode", lambda: _drain(decode_events(one) for one in messages)
    yield "aggregator: decode, with times", lambda: timed_events(messages)
    yield "aggregator: fold, two meters", lambda: fold(plan, timed)
    yield "aggregator: rows to stage", lambda: staged_rows(folded.series, ids)


def _deduped(received: Sequence[Record]) -> None:
    """What the deduper does with records of one step when every event is fresh, but the ledger."""
    arrivals = [
        Arrival(offset, NOW_MS, decode_envelope(record.value or b""))
        for offset, record in enumerate(received)
    ]
    places: list[Places] = [None] * len(arrivals)
    asked = claims(arrivals, places)
    columns_of(asked, 0, GROUPS)
    decision = decide(arrivals, places, asked, [Verdict.FRESH] * len(asked))
    for arrival, numbers in zip(arrivals, decision.fresh, strict=True):
        raws_by_output(arrival.envelope.events, numbers, PARTITIONS)


def measure(name: str, one_round: Callable[[], object]) -> float:
    """CPU microseconds an event, of the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        one_round()
        best = min(best, time.process_time() - began)
    return best / EVENTS * 1e6


def main() -> None:
    """Print the table, as Markdown."""
    found = list(parts())
    plainly = [measure(*part) for part in found]
    collect_garbage_seldom()
    seldom = [measure(*part) for part in found]
    gc.unfreeze()
    print("| part | us an event | with Python's own garbage collection |")
    print("|---|---|---|")
    for (name, _), with_ours, with_pythons in zip(found, seldom, plainly, strict=True):
        print(f"| {name} | {with_ours:.2f} | {with_pythons:.2f} |")


def _drain(made: Iterator[object]) -> None:
    for _ in made:
        pass


if __name__ == "__main__":
    main()
