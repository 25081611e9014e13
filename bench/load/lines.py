"""An nginx access log as the collector's template writes it, from a seed. Pure."""

import random
from collections.abc import Iterator

from bench.load.events import tenant_key


def access_log(seed: int, lines: int, *, begin_ms: int, tenants: int) -> Iterator[bytes]:
    """Lines with their newline, all of them usage."""
    pick = random.Random(seed)
    for number in range(lines):
        at = begin_ms + number // 100
        size, took = pick.randrange(100, 100_000), pick.randrange(1, 900)
        yield (
            f'{{"msec":{at // 1000}.{at % 1000:03d},"request_id":"{pick.getrandbits(128):032x}",'
            f'"time":"2026-11-28T04:00:00+00:00","tenant":"{tenant_key(number % tenants)}",'
            f'"gate":"allow","status":"200","bytes":{size},"request_time":0.{took:03d},'
            f'"method":"GET","host":"app.example","uri":"/v1/items/{number}"}}\n'
        ).encode()
