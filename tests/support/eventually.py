"""Waiting for a condition instead of for time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]], timeout: float = ..., every: float = ...
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None], timeout: float = ..., every: float = ...
) -> T: ...
async def eventually(condition: Callable[[], Any], timeout: float = 10, every: float = 0.05) -> Any:
    """The first true value that `condition` (a function or coroutine function) returns.

    Raises `AssertionError` with its last value when `timeout` seconds have passed; an
    `AssertionError` from inside counts as "not yet".
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            value = condition()
            result = await value if inspect.isawaitable(value) else value
            if result:
                return result
            last = result
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s; last: {last!r}")
        await asyncio.sleep(every)
