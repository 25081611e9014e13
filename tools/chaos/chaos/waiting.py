"""Waiting for a condition instead of for time."""

import asyncio
import time
from collections.abc import Callable
from typing import Any


async def until(
    condition: Callable[[], Any], what: str, *, seconds: float, every: float = 0.3
) -> Any:
    """The first true value of an async condition; TimeoutError says what was awaited."""
    deadline = time.monotonic() + seconds
    while not (found := await condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(every)
    return found
