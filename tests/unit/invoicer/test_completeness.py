"""When a run may invoice, and what it says while it may not."""

from datetime import UTC, datetime, timedelta

from invoicer.completeness import (
    Node,
    NodesUnknown,
    Settled,
    judge_nodes,
    judge_watermark,
    latest,
    needed_watermark,
)

THROUGH = datetime(2026, 12, 1, tzinfo=UTC)
EARLIER, LATER = THROUGH - timedelta(seconds=1), THROUGH + timedelta(seconds=30)
PATIENCE_END = THROUGH + timedelta(hours=6)


def judge(
    nodes: list[Node] | NodesUnknown, now: datetime = LATER
) -> Settled | list[tuple[str, str]]:
    verdict = judge_nodes(nodes, through=THROUGH, now=now, patience_end=PATIENCE_END)
    if isinstance(verdict, Settled):
        return verdict
    return [(wait.kind, wait.name) for wait in verdict]


def test_it_waits_for_the_node_that_has_not_sealed() -> None:
    nodes = [
        Node(node="edge-1", sealed_through=THROUGH),
        Node(node="edge-2", sealed_through=EARLIER),
        Node(node="edge-3"),
    ]
    assert judge(nodes) == [("node", "edge-2"), ("node", "edge-3")]
    assert judge(nodes[:1]) == Settled([])


def test_without_nodes_there_is_nobody_to_wait_for() -> None:
    assert judge([]) == Settled([])


def test_patience_ends_and_the_silent_are_named() -> None:
    verdict = judge([Node(node="edge-2", sealed_through=EARLIER)], now=PATIENCE_END)
    assert isinstance(verdict, Settled)
    assert [(one.name, one.sealed_through) for one in verdict.missing] == [("edge-2", EARLIER)]


def test_an_ingest_that_does_not_answer_is_waited_for_and_then_named() -> None:
    unknown = NodesUnknown("ingest answered 503")
    assert judge(unknown) == [("ingest", "ingest")]
    verdict = judge(unknown, now=PATIENCE_END)
    assert isinstance(verdict, Settled)
    assert "503" in verdict.missing[0].detail


def test_a_node_that_began_anew_counts_by_its_newest_seal() -> None:
    old, new = Node(node="a", sealed_through=EARLIER), Node(node="a", sealed_through=LATER)
    never = Node(node="a")
    assert latest([old, never, new]) == latest([new, old]) == [new]


def test_the_watermark_must_pass_everything_that_the_seals_vouch_for() -> None:
    grace = timedelta(seconds=5)
    created, settled = THROUGH + timedelta(minutes=1), THROUGH + timedelta(minutes=2)
    needed = needed_watermark(
        through=THROUGH, created_at=created, nodes_settled_at=settled, grace=grace
    )
    assert needed == settled + grace
    assert judge_watermark(needed, needed=needed) == []
    (wait,) = judge_watermark(settled, needed=needed)
    assert (wait.kind, wait.now, wait.needed) == ("watermark", settled, needed)
    (wait,) = judge_watermark(None, needed=needed)
    assert wait.now is None


def test_a_future_period_needs_a_future_watermark() -> None:
    created = THROUGH - timedelta(minutes=1)
    assert (
        needed_watermark(
            through=THROUGH, created_at=created, nodes_settled_at=created, grace=timedelta(0)
        )
        == THROUGH
    )
