"""The spool keeps what it has acknowledged, in order, without holes, within its budget."""

import errno
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from collector.lock import DirectoryLock
from collector.spool import store
from collector.spool.store import WrongNodeError
from collector.spool.values import Parked, Position
from collector.spool.writer import Ack, Change, Receipt, Spool, SpoolBrokenError, SpoolFullError
from common.settings import UnsafeSettings
from tests.unit.collector.support import accept, open_spool, stored

SEALED = "2026-11-23T09:00:00.000Z"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = open_spool(tmp_path)
    yield spool
    spool.close()


def events(count: int, size: int = 20) -> list[bytes]:
    return [b'{"n":"%s"}' % (b"%d" % number).rjust(size, b"0") for number in range(count)]


def test_sequences_begin_at_one_and_have_no_holes(spool: Spool) -> None:
    first = spool.submit(Change(events=events(3))).result()
    second = spool.submit(Change(events=events(600))).result()
    assert first == Receipt(1, 4)
    assert second == Receipt(4, 604)
    assert len(stored(spool)) == 603


def test_the_nodes_own_events_get_their_id_from_their_place(spool: Spool) -> None:
    accept(spool, b'{"id":"mine"}')
    spool.submit(Change(events=[b'"source":"edge-1/nginx"}'] * 2, made_here=True)).result()
    epoch = spool.state.identity.epoch
    assert [event["id"] for event in stored(spool)] == ["mine", f"{epoch}-2", f"{epoch}-3"]


def test_a_restart_goes_on_in_the_same_epoch(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    accept(spool, *events(5))
    before = spool.state.identity
    spool.close()
    again = open_spool(tmp_path)
    assert again.state.identity == before
    assert again.submit(Change(events=events(1))).result() == Receipt(6, 7)
    again.close()


def test_a_fresh_spool_has_a_fresh_epoch(tmp_path: Path) -> None:
    epochs = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        spool = open_spool(tmp_path / name)
        epochs.add(spool.state.identity.epoch)
        spool.close()
    assert len(epochs) == 2


def test_what_the_centre_has_is_forgotten(spool: Spool) -> None:
    accept(spool, *events(10))
    spool.submit(Change(ack=Ack(1, 7, SEALED))).result()
    assert len(stored(spool)) == 3
    identity = spool.state.identity
    assert (identity.acked_seq, identity.next_seq, spool.state.unsent) == (7, 11, 3)
    assert identity.sealed_through == SEALED


def test_neither_acks_nor_seals_go_back(spool: Spool) -> None:
    accept(spool, *events(10))
    spool.submit(Change(ack=Ack(1, 7, SEALED))).result()
    spool.submit(Change(ack=Ack(1, 3, "2025-01-01T00:00:00.000Z"))).result()
    assert spool.state.identity.acked_seq == 7
    assert spool.state.identity.sealed_through == SEALED


def test_space_is_used_again(spool: Spool) -> None:
    sizes = []
    for _ in range(30):
        receipt = spool.submit(Change(events=events(500, size=400))).result()
        sizes.append(spool.path.stat().st_size)
        spool.submit(Change(ack=Ack(1, receipt.next_seq - 1, SEALED))).result()
    assert spool.state.used_bytes < 100_000
    assert max(sizes) < 1_000_000, "30 times 200 kB went through"


def test_a_full_budget_refuses_new_usage_and_keeps_the_old(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, max_bytes=200_000)
    outcomes = [spool.submit(Change(events=events(50, size=200))) for _ in range(100)]
    taken = 50 * sum(outcome.exception() is None for outcome in outcomes)
    assert 0 < taken < 5000
    assert {type(outcome.exception()) for outcome in outcomes} == {type(None), SpoolFullError}
    assert spool.state.full
    assert len(stored(spool)) == taken
    spool.submit(Change(ack=Ack(1, taken // 2, SEALED))).result()
    assert not spool.state.full
    accept(spool, *events(50, size=200))
    assert spool.state.identity.next_seq == taken + 51
    spool.close()


def test_too_little_free_space_on_the_disk_counts_as_full(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "edge-1", max_bytes=1 << 30, min_free_bytes=1 << 60)
    with pytest.raises(SpoolFullError):
        spool.submit(Change(events=events(1))).result()
    spool.submit(Change(ack=Ack(1, 0, SEALED))).result()
    spool.close()


def test_one_change_that_does_not_fit_does_not_stop_its_neighbours(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, max_bytes=300_000)
    outcomes = [spool.submit(Change(events=events(n))) for n in (1, 20_000, 1)]
    assert outcomes[0].result() == Receipt(1, 2)
    with pytest.raises(SpoolFullError):
        outcomes[1].result()
    assert outcomes[2].result() == Receipt(2, 3)
    spool.close()


def test_concurrent_callers_share_commits(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    write = spool._write

    def counted(jobs: Any) -> None:
        batches.append(len(jobs))
        write(jobs)

    monkeypatch.setattr(spool, "_write", counted)
    futures: list[Future[Receipt]] = []
    lock = threading.Lock()

    def post() -> None:
        for _ in range(200):
            future = spool.submit(Change(events=events(1)))
            with lock:
                futures.append(future)

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = sorted(future.result().first_seq for future in futures)
    assert given == list(range(1, 801))
    assert len(batches) < 400


def test_everything_in_a_change_is_kept_together(spool: Spool) -> None:
    position = Position("/log", 1, 2, 3, b"head", 100)
    spool.submit(
        Change(
            events=events(2),
            positions=[position],
            parked=[Parked("nginx", "log#1@0", "invalid_json", b"{")],
        )
    ).result()
    assert spool.read_positions("/log") == [position]
    assert spool.read_parked(0, 10)[0].reason == "invalid_json"
    assert spool.state.parked == 1


def test_a_failed_commit_gives_nothing_and_the_next_one_works(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = store.insert_events

    def broken(connection: sqlite3.Connection, first_seq: int, bodies: list[bytes]) -> None:
        insert(connection, first_seq, bodies)
        raise sqlite3.OperationalError("disk I/O error")

    accept(spool, *events(2))
    monkeypatch.setattr(store, "insert_events", broken)
    with pytest.raises(SpoolBrokenError):
        accept(spool, *events(3))
    assert spool.state.error is not None
    monkeypatch.setattr(store, "insert_events", insert)
    assert spool.submit(Change(events=events(1))).result() == Receipt(3, 4)
    assert spool.state.error is None
    assert len(stored(spool)) == 3


def test_a_full_disk_is_told_as_full(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(store, "insert_events", full)
        with pytest.raises(SpoolFullError):
            accept(spool, *events(1))
    accept(spool, *events(1))


def test_a_disk_that_cannot_be_asked_is_an_answer_too(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No caller waits for ever, whatever goes wrong in the writer."""
    with monkeypatch.context() as patch:

        def gone(_: object) -> int:
            raise OSError(errno.EIO, "input/output error")

        patch.setattr(store, "used_bytes", gone)
        with pytest.raises(SpoolBrokenError):
            accept(spool, *events(1))
    accept(spool, *events(1))


def test_a_caller_that_gives_up_does_not_stop_the_writer(spool: Spool) -> None:
    future = spool.submit(Change(events=events(1)))
    assert not future.cancel()
    accept(spool, *events(1))
    assert len(stored(spool)) == 2


def test_another_node_name_is_refused_with_a_remedy(tmp_path: Path) -> None:
    open_spool(tmp_path).close()
    with pytest.raises(WrongNodeError, match="TOLLGATE_NODE=edge-1"):
        Spool(tmp_path, "edge-2", max_bytes=1 << 30)


def test_two_processes_cannot_share_a_spool(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(UnsafeSettings, match="TOLLGATE_SPOOL_DIR"):
        DirectoryLock(tmp_path)
    lock.release()
    DirectoryLock(tmp_path).release()


def test_batches_are_cut_by_number_and_by_size(spool: Spool) -> None:
    accept(spool, *events(10, size=93))  # 101 bytes each
    first, bodies = spool.read_events(0, 4, 10_000)
    assert (first, len(bodies)) == (1, 4)
    assert len(spool.read_events(4, 100, 250)[1]) == 2
    assert len(spool.read_events(0, 100, 10)[1]) == 1
    assert spool.read_events(10, 100, 10_000) == (11, [])
