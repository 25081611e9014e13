"""kill -9 between accepting and acknowledging: what was acknowledged is there, once, in order."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from collector.spool.writer import Change, Spool

KILLS = 12
_WRITER = """
import sys
from pathlib import Path
from collector.spool.writer import Ack, Change, Spool

spool = Spool(Path(sys.argv[1]), "edge-1", max_bytes=1 << 30)
number = int(sys.argv[2])
print("ready", flush=True)
pending = []
while True:
    for _ in range(5):
        number += 1
        pending.append((number, spool.submit(Change(events=[b'%d' % number] * (number % 3 + 1)))))
    for given, future in pending:
        receipt = future.result()
        sys.stdout.write(f"{given} {receipt.first_seq} {receipt.next_seq}\\n")
    sys.stdout.flush()
    pending.clear()
"""


@pytest.mark.slow
def test_acknowledged_events_survive_kills(tmp_path: Path) -> None:
    acknowledged: dict[int, tuple[int, int]] = {}
    chance = random.Random(4)
    number = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(chance.randrange(1, 400)):
            line = process.stdout.readline()
            given, first, following = map(int, line.split())
            acknowledged[given] = (first, following)
        process.kill()
        rest, _ = process.communicate()
        for line in rest.splitlines():
            if line.count(" ") == 2 and rest.endswith("\n"):
                given, first, following = map(int, line.split())
                acknowledged[given] = (first, following)
        number = max(acknowledged) + 1000

    spool = Spool(tmp_path, "edge-1", max_bytes=1 << 30)
    first_seq, bodies = spool.read_events(0, 10_000_000, 1 << 40)
    assert first_seq == 1
    assert len(bodies) == spool.state.identity.next_seq - 1, "the sequence has a hole"
    for given, (first, following) in acknowledged.items():
        assert bodies[first - 1 : following - 1] == [b"%d" % given] * (given % 3 + 1)
    for given in {int(body) for body in bodies}:
        assert bodies.count(b"%d" % given) == given % 3 + 1
    assert spool.submit(Change(events=[b"1"])).result().first_seq == len(bodies) + 1
    spool.close()
