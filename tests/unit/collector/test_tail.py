"""The log's lines become events exactly once, whatever happens to the file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.collector.support import Tailing, line, numbers, stored


class Edge:
    """A log file, the tool that rotates it, and a collector that may be down."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "access.log"
        self.spool = directory / "spool"
        self.spool.mkdir()
        self.tail = Tailing(self.log, self.spool)
        self._next = 0

    def write(self, count: int = 1, *, to: Path | None = None) -> None:
        with (to or self.log).open("ab") as file:
            for _ in range(count):
                self._next += 1
                file.write(line(self._next))

    def rotate(self, *, create: bool = True) -> Path:
        """As logrotate does it: numbers go up, the log gets .1, a new file is made."""
        for number in range(8, 0, -1):
            older = self.log.with_name(f"access.log.{number}")
            if older.exists():
                older.rename(self.log.with_name(f"access.log.{number + 1}"))
        rotated = self.log.with_name("access.log.1")
        self.log.rename(rotated)
        if create:
            self.log.touch()
        return rotated

    def copytruncate(self) -> Path:
        for number in range(8, 0, -1):
            older = self.log.with_name(f"access.log.{number}")
            if older.exists():
                older.rename(self.log.with_name(f"access.log.{number + 1}"))
        copy = self.log.with_name("access.log.1")
        shutil.copy(self.log, copy)
        os.truncate(self.log, 0)
        return copy

    def restart(self) -> None:
        self.tail.close()
        self.tail = Tailing(self.log, self.spool)

    def read(self) -> list[int]:
        self.tail.drain()
        return numbers(stored(self.tail.spool))

    @property
    def written(self) -> list[int]:
        return list(range(1, self._next + 1))


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path)
    yield edge
    edge.tail.close()


def test_lines_become_events_in_order(edge: Edge) -> None:
    edge.write(3)
    assert edge.read() == [1, 2, 3]
    edge.write(2)
    assert edge.read() == [1, 2, 3, 4, 5]
    first = stored(edge.tail.spool)[0]
    epoch = edge.tail.spool.state.identity.epoch
    assert first == {
        "id": f"{epoch}-1",
        "source": "edge-1/nginx",
        "specversion": "1.0",
        "type": "http.request",
        "subject": "acme",
        "time": "2026-09-21T14:13:21.001Z",
        "data": {
            "status": 200,
            "bytes": 1,
            "request_time": 0.012,
            "method": "GET",
            "uri": "/items/1",
            "request_id": f"{1:032x}",
        },
    }


def test_a_log_that_does_not_exist_yet(edge: Edge) -> None:
    assert edge.read() == []
    edge.write(2)
    assert edge.read() == [1, 2]


def test_restart_goes_on_where_it_stopped(edge: Edge) -> None:
    edge.write(5)
    edge.read()
    edge.restart()
    edge.write(5)
    assert edge.read() == edge.written


def test_a_crash_before_the_commit_reads_the_lines_again(edge: Edge) -> None:
    edge.write(4)
    while (step := edge.tail.step(commit=False)) is not None and not step.change.events:
        edge.tail.spool.submit(step.change).result()
        edge.tail.follower.applied(step)
    edge.restart()
    assert edge.read() == [1, 2, 3, 4]


def test_a_half_written_line_waits_for_its_end(edge: Edge) -> None:
    edge.write(1)
    whole = line(2)
    with edge.log.open("ab") as file:
        file.write(whole[:40])
    assert edge.read() == [1]
    assert edge.tail.follower.half_line
    edge.restart()
    assert edge.read() == [1]
    with edge.log.open("ab") as file:
        file.write(whole[40:])
    assert edge.read() == [1, 2]
    assert not edge.tail.follower.half_line


def test_rename_and_create(edge: Edge) -> None:
    edge.write(3)
    edge.read()
    edge.write(2)
    rotated = edge.rotate()
    edge.write(2)
    edge.write(1, to=rotated)  # nginx has not reopened its log yet
    assert sorted(edge.read()) == edge.written
    edge.write(1, to=rotated)
    edge.write(1)
    assert sorted(edge.read()) == edge.written


def test_rename_without_a_new_file_yet(edge: Edge) -> None:
    edge.write(2)
    edge.read()
    rotated = edge.rotate(create=False)
    edge.write(2, to=rotated)
    assert edge.read() == edge.written
    edge.write(2)
    assert edge.read() == edge.written


def test_several_rotations_while_down(edge: Edge) -> None:
    edge.write(3)
    edge.read()
    edge.tail.close()
    for _ in range(4):
        edge.write(3)
        edge.rotate()
    edge.write(3)
    edge.tail = Tailing(edge.log, edge.spool)
    assert edge.read() == edge.written


def test_older_logs_than_the_first_start_are_not_usage(edge: Edge) -> None:
    edge.write(3)
    edge.rotate()
    edge.write(2)
    assert edge.read() == [4, 5]
    edge.restart()
    edge.rotate()
    edge.write(1)
    assert edge.read() == [4, 5, 6]


def test_a_first_start_at_the_end(edge: Edge) -> None:
    edge.tail.close()
    edge.write(3)
    edge.tail = Tailing(edge.log, edge.spool, skip_what_is_there=True)
    assert edge.read() == []
    edge.write(2)
    assert edge.read() == [4, 5]


def test_growth_of_a_log_that_was_closed_long_ago(edge: Edge) -> None:
    edge.write(1)
    edge.read()
    rotated = edge.rotate()
    edge.write(1)
    edge.read()
    edge.tail.now += 100
    edge.read()
    edge.write(1, to=rotated)
    edge.tail.now += 100
    assert edge.read() == edge.written


def test_copytruncate(edge: Edge) -> None:
    edge.write(3)
    edge.read()
    edge.copytruncate()
    edge.write(2)
    assert edge.read() == edge.written


def test_copytruncate_with_unread_lines(edge: Edge) -> None:
    edge.write(3)
    edge.read()
    edge.write(3)
    edge.copytruncate()
    edge.write(1)
    assert edge.read() == edge.written


def test_copytruncate_while_down_and_grown_beyond_the_old_offset(edge: Edge) -> None:
    edge.write(2)
    edge.read()
    edge.tail.close()
    for _ in range(3):
        edge.write(2)
        edge.copytruncate()
    edge.write(20)
    edge.tail = Tailing(edge.log, edge.spool)
    assert sorted(edge.read()) == edge.written


def test_a_copy_in_the_making_is_not_read(edge: Edge) -> None:
    edge.write(20)
    edge.read()
    content = edge.log.read_bytes()
    copy = edge.log.with_name("access.log.1")
    for length in (0, 30, 400, 700, len(content) - 5, len(content)):
        copy.write_bytes(content[:length])
        edge.tail.now += 20
        assert edge.read() == edge.written
    os.truncate(edge.log, 0)
    edge.write(1)
    assert edge.read() == edge.written


def test_truncation_without_a_copy_is_reported(edge: Edge) -> None:
    edge.write(3)
    edge.read()
    os.truncate(edge.log, 0)
    edge.write(1)
    assert edge.read() == edge.written
    assert edge.tail.follower.lost_generations == 1


def test_a_deleted_log_is_read_to_its_end_while_it_is_open(edge: Edge) -> None:
    edge.write(2)
    edge.read()
    with edge.log.open("ab") as file:
        edge.log.unlink()
        file.write(line(3))
    edge._next = 3
    edge.write(1)
    assert sorted(edge.read()) == edge.written


def test_a_log_that_vanished_while_down_is_reported(edge: Edge) -> None:
    edge.write(2)
    edge.read()
    edge.tail.close()
    edge.log.unlink()
    edge.write(1)
    edge.tail = Tailing(edge.log, edge.spool)
    assert edge.read() == edge.written
    assert edge.tail.follower.lost_generations == 1


def test_an_inode_that_is_given_again(edge: Edge) -> None:
    """Another file with the old inode: the head tells them apart."""
    edge.write(10)
    edge.read()
    rotated = edge.rotate(create=False)
    edge.write(5, to=rotated)
    edge.read()
    edge.tail.close()
    with rotated.open("r+b") as file:  # the same inode, other content, longer than before
        file.truncate(0)
        for number in range(16, 60):
            file.write(line(number))
    edge._next = 59
    rotated.rename(edge.log)
    edge.tail = Tailing(edge.log, edge.spool)
    assert sorted(edge.read()) == edge.written


def test_bad_lines_are_kept_with_the_reason(edge: Edge) -> None:
    edge.write(1)
    with edge.log.open("ab") as file:
        file.write(b"not json\n[1]\n" + line(7, status="2x0") + line(8, tenant=12))
    edge.write(1)
    assert edge.read() == [1, 2]
    parked = edge.tail.spool.read_parked(0, 100)
    assert [item.reason.split(":")[0] for item in parked] == [
        "invalid_json",
        "not_an_object",
        "invalid_status",
        "tenant_is_not_a_string",
    ]
    assert parked[0].body == b"not json"
    assert parked[0].place.startswith("access.log#1@")


def test_a_half_line_at_the_end_of_a_rotated_log_is_kept_as_bad(edge: Edge) -> None:
    edge.write(1)
    with edge.log.open("ab") as file:
        file.write(b'{"msec":17')
    edge.read()
    edge.rotate()
    edge.write(1)
    assert edge.read() == edge.written
    edge.tail.now += 100
    edge.read()
    assert [item.reason for item in edge.tail.spool.read_parked(0, 9)] == ["half_line"]
    assert not edge.tail.follower.half_line


def test_a_line_longer_than_any_block(edge: Edge) -> None:
    edge.write(1)
    with edge.log.open("ab") as file:
        file.write(line(5, uri="x" * 200_000))
        file.write(line(6, uri="x" * 900_000))
    edge.write(1)
    assert edge.read() == [1, 5, 2]
    assert edge.tail.spool.read_parked(0, 9)[0].reason == "line_too_long"
