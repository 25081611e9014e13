"""Each event counts once: duplicates, conflicts, batches, gaps, replays."""

from datetime import UTC, datetime, timedelta

from tests.integration.ingest.conftest import Ingest, event
from tests.support.eventually import eventually


def own(node: str, epoch: str, seq: int, **more: object) -> dict[str, object]:
    """An event that the node made itself."""
    return event(f"{epoch}-{seq}", source=f"{node}/nginx", **more)


async def test_events_are_counted_once(ingest: Ingest) -> None:
    events = [event(str(n), subject=f"tenant-{n % 7}") for n in range(100)]
    for _ in range(2):
        answer = await ingest.send(*events)
        assert answer.json() == {"accepted": 100, "rejected": []}
    await ingest.settled(received=200, counted=100, duplicates=100, parked=0)
    assert await ingest.downstream.ids() == sorted(f"app {n}" for n in range(100))
    assert ingest.downstream.watermarks > 0


async def test_a_copy_within_one_request_counts_once(ingest: Ingest) -> None:
    one = event("1")
    await ingest.send(one, one, event("2"))
    await ingest.settled(received=3, counted=2, duplicates=1)


async def test_the_same_identity_with_other_content_is_parked(ingest: Ingest) -> None:
    first = event("1")
    await ingest.send(first)
    await ingest.send(first | {"data": {"bytes": 11}})
    await ingest.settled(received=2, counted=1, parked=1)
    (dead,) = (await ingest.get("/v1/dead-events"))["items"]
    assert dead["code"] == "identity_conflict"
    assert (dead["source"], dead["event_id"]) == ("app", "1")
    status = await ingest.get("/v1/events", source="app", id="1")
    assert status["state"] == "duplicate_conflict"
    assert status["dead_events"] == [dead["id"]]
    refused = await ingest.http.post(f"/v1/dead-events/{dead['id']}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")


async def test_another_day_is_another_event(ingest: Ingest) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    await ingest.send(event("1"), event("1", time=yesterday))
    await ingest.settled(received=2, counted=2)


async def test_an_event_without_time_counts_once(ingest: Ingest) -> None:
    for _ in range(2):
        await ingest.send(event("1", time=None))
    await ingest.settled(received=2, counted=1, duplicates=1)


async def test_an_event_stamped_by_a_collector_counts_once(ingest: Ingest) -> None:
    stamp = datetime.now(UTC) - timedelta(minutes=2)
    for n, node in enumerate(("edge-1", "edge-2")):
        at = (stamp + timedelta(seconds=n)).isoformat()
        await ingest.batch(1, [event("1", time=at, tollgatestamped=True)], node=node)
    await ingest.send(event("1", time=None))
    await ingest.settled(received=3, counted=1, duplicates=2)


async def test_a_counted_event_can_be_found(ingest: Ingest) -> None:
    sent = event("1", subject="globex", time="%s")
    happened = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    await ingest.send(sent | {"time": happened.isoformat()})
    await ingest.settled(counted=1)
    status = await ingest.get("/v1/events", source="app", id="1")
    assert status["state"] == "counted"
    assert (status["tenant"], status["type"]) == ("globex", "request")
    assert datetime.fromisoformat(status["time"]) == happened
    assert datetime.fromisoformat(status["hour"]) == happened.replace(minute=0, second=0)
    assert status["received_at"]
    assert status["origin"].keys() == {"partition", "offset"}
    unknown = await ingest.get("/v1/events", source="app", id="2")
    assert (unknown["state"], unknown["searched_all"]) == ("unknown", True)


async def test_bad_elements_are_received_and_parked(ingest: Ingest) -> None:
    body = b'{"id": NaN}\nnot json\n[]\n{"id":"5","source":"app","type":"t"}'
    answer = await ingest.http.post(
        "/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "all_rejected"
    assert [(r["index"], r["id"], r["code"]) for r in problem["rejected"]] == [
        (0, None, "invalid_json"),
        (1, None, "invalid_json"),
        (2, None, "not_an_object"),
        (3, "5", "missing_field"),
    ]
    await ingest.settled(received=4, counted=0, parked=4)
    assert (await ingest.get("/v1/events", source="app", id="5"))["state"] == "parked"


async def test_a_node_sends_batches(ingest: Ingest) -> None:
    answer = await ingest.batch(1, [own("edge-1", "e1", n) for n in (1, 2, 3)])
    assert answer == {"next_seq": 4, "decisions_revision": 0, "rejected": []}
    await ingest.settled(received=3, counted=3)
    blocks = await ingest.pool.fetchval("SELECT count(*) FROM ingest.ledger_blocks")
    assert blocks == 0, "a node's own events need no place in the ledger"
    status = await ingest.get("/v1/events", source="edge-1/nginx", id="e1-2")
    assert status["state"] == "counted"


async def test_a_half_overlapping_batch_takes_the_new_part(ingest: Ingest) -> None:
    events = [own("edge-1", "e1", n) for n in range(1, 7)]
    await ingest.batch(1, events[:4])
    assert (await ingest.batch(3, events[2:]))["next_seq"] == 7
    await ingest.batch(1, events)
    await ingest.settled(received=14, counted=6, duplicates=8)
    assert len(await ingest.downstream.read()) == 6


async def test_a_gap_is_taken_shown_and_filled(ingest: Ingest) -> None:
    seal = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    await ingest.batch(1, [own("edge-1", "e1", 1)])
    await ingest.batch(5, [own("edge-1", "e1", 5)], sealed_through=seal.isoformat())
    await ingest.settled(counted=2)
    (node,) = (await ingest.get("/v1/nodes"))["items"]
    assert (node["node"], node["epoch"], node["next_seq"]) == ("edge-1", "e1", 6)
    assert node["gaps"] == [{"epoch": "e1", "first_seq": 2, "last_seq": 4}]
    assert datetime.fromisoformat(node["sealed_through"]) == seal
    assert datetime.fromisoformat(node["sealed_received_at"]) > seal
    await ingest.batch(2, [own("edge-1", "e1", n) for n in (2, 3, 4)])
    await ingest.settled(counted=5, duplicates=0)
    (node,) = (await ingest.get("/v1/nodes"))["items"]
    assert node["gaps"] == []
    assert datetime.fromisoformat(node["sealed_through"]) == seal


async def test_the_same_number_with_other_content_is_parked(ingest: Ingest) -> None:
    await ingest.batch(1, [own("edge-1", "e1", 1), own("edge-1", "e1", 2)])
    await ingest.settled(counted=2)
    await ingest.batch(2, [own("edge-1", "e1", 2, data=5), own("edge-1", "e1", 3)])
    await ingest.settled(received=4, counted=3, parked=1)
    (dead,) = (await ingest.get("/v1/dead-events", code="sequence_conflict"))["items"]
    assert (dead["node"], dead["epoch"], dead["seq"]) == ("edge-1", "e1", 2)


async def test_an_apps_event_counts_once_over_two_ways(ingest: Ingest) -> None:
    shared = event("77")
    await ingest.send(shared)
    await ingest.batch(1, [shared, own("edge-1", "e1", 2)])
    await ingest.batch(1, [shared], node="edge-2")
    await ingest.settled(received=4, counted=2, duplicates=2)


async def test_a_new_epoch_starts_from_one(ingest: Ingest) -> None:
    await ingest.batch(1, [own("edge-1", "e1", 1)])
    await ingest.settled(counted=1)
    await ingest.batch(1, [own("edge-1", "e2", 1)], epoch="e2")
    await ingest.settled(counted=2)
    (node,) = (await ingest.get("/v1/nodes"))["items"]
    assert node["epoch"] == "e2"


async def test_nodes_are_paged(ingest: Ingest) -> None:
    for node in "cab":
        await ingest.batch(1, [], node=node)

    async def all_three() -> bool:
        return len((await ingest.get("/v1/nodes"))["items"]) == 3

    await eventually(all_three)
    first = await ingest.get("/v1/nodes", limit=2)
    rest = await ingest.get("/v1/nodes", limit=2, cursor=first["next"])
    assert [n["node"] for n in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next"] is None


async def test_bad_elements_of_a_batch_keep_their_numbers(ingest: Ingest) -> None:
    batch = [own("edge-1", "e1", 1), {"id": "e1-2"}, own("edge-1", "e1", 3)]
    for _ in range(2):
        answer = await ingest.batch(1, batch)
        assert [r["index"] for r in answer["rejected"]] == [1]
    await ingest.settled(received=6, counted=2, duplicates=3, parked=1)


async def test_a_dead_event_is_replayed_once(ingest: Ingest) -> None:
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await ingest.send(event("1", time=late))
    await ingest.settled(received=1, parked=1)
    (dead,) = (await ingest.get("/v1/dead-events"))["items"]
    path = f"/v1/dead-events/{dead['id']}"
    still = await ingest.http.post(f"{path}/replay")
    assert (still.status_code, still.json()["code"]) == (422, "still_invalid")
    assert still.json()["reason"] == "in_future"
    # Time passes: the event that was an hour ahead is not any more.
    happened = event("1")
    await ingest.pool.execute(
        "UPDATE ingest.dead_events SET raw = convert_to(replace("
        "convert_from(raw, 'UTF8'), $1, $2), 'UTF8')",
        late,
        happened["time"],
    )
    for _ in range(3):
        answer = await ingest.http.post(f"{path}/replay")
        assert answer.status_code in (202, 409)
    await ingest.settled(received=1, counted=1, parked=0)
    assert (await ingest.get(path))["state"] == "replayed"
    closed = await ingest.http.post(f"{path}/discard")
    assert (closed.status_code, closed.json()["code"]) == (409, "dead_event_closed")
    assert await ingest.downstream.ids() == ["app 1"]


async def test_a_dead_event_is_discarded(ingest: Ingest) -> None:
    await ingest.send(event("1", subject=""))
    await ingest.settled(parked=1)
    (dead,) = (await ingest.get("/v1/dead-events", state="open", source="app"))["items"]
    for _ in range(2):
        answer = await ingest.http.post(f"/v1/dead-events/{dead['id']}/discard")
        assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    assert (await ingest.get("/v1/dead-events", state="open"))["items"] == []
    await ingest.settled(received=1, parked=1)
    again = await ingest.http.post(f"/v1/dead-events/{dead['id']}/replay")
    assert again.status_code == 409


async def test_dead_events_are_paged_and_show_their_bytes(ingest: Ingest) -> None:
    await ingest.send(*[{"id": str(n), "n": n} for n in range(5)])
    await ingest.settled(parked=5)
    seen, cursor = [], None
    while True:
        page = await ingest.get(
            "/v1/dead-events", limit=2, **({"cursor": cursor} if cursor else {})
        )
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    detail = await ingest.get(f"/v1/dead-events/{seen[-1]}")
    assert detail["body"].replace(" ", "") == '{"id":"0","n":0}'
