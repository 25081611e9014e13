"""The client process: reads what to send from stdin, prepares it, waits for "go", sends it.

It answers with one line of JSON each: the truth when it is prepared, what came of it at the end.
"""

import gc
import json
import sys

from bench.load.events import Traffic, prepare
from bench.load.sender import Sender


def main() -> None:
    order = json.loads(sys.stdin.readline())
    prepared = prepare(Traffic(**order["traffic"]))
    print(
        json.dumps(
            {
                "sent": prepared.sent,
                "counts": prepared.truth.counts,
                "sums": prepared.truth.sums,
                "requests": sum(map(len, prepared.lanes)),
            }
        ),
        flush=True,
    )
    gc.freeze()
    if sys.stdin.readline().strip() != "go":
        return
    sent = Sender(
        (order["host"], order["port"]),
        prepared,
        connections=order["connections"],
        rate=order["requests_per_second"],
    ).run()
    print(
        json.dumps(
            {
                "seconds": sent.seconds,
                "cpu_seconds": sent.cpu_seconds,
                "accepted": sent.accepted,
                "statuses": sent.statuses,
                "latencies_ms": sent.latencies_ms,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
