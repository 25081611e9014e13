"""Carries out the schedule: each fault at its time, healed when it has lasted. They may overlap."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from chaos.faultlog import FaultLog
from chaos.faults import Fault, Missed, make
from chaos.schedule import Planned
from chaos.site import Site

LAST_SECONDS = 300.0
"""How long a fault that takes its own time (a rolling restart) may go on after the last one."""


async def strike(
    site: Site,
    schedule: Sequence[Planned],
    faults: FaultLog,
    *,
    breathe: Callable[[], Awaitable[None]],
    say: Callable[[str], None],
) -> None:
    """Returns when every fault has been healed, also when it is cancelled. `breathe` may hold the
    schedule up, and what follows is put off by as much."""
    began = time.monotonic()
    tasks: list[asyncio.Task[None]] = []
    try:
        for planned in schedule:
            await asyncio.sleep(max(0.0, began + planned.at - time.monotonic()))
            await breathe()
            began = max(began, time.monotonic() - planned.at)
            say(f"{planned.n:4d}/{len(schedule)} {planned}")
            tasks.append(asyncio.create_task(_one(make(site, planned), planned, faults)))
        _, late = await asyncio.wait(tasks, timeout=LAST_SECONDS)
        for task in late:
            task.cancel()
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    finally:
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(fault: Fault, planned: Planned, faults: FaultLog) -> None:
    faults.began(planned)
    try:
        await fault.begin()
        await asyncio.sleep(planned.lasts)
    except Missed as missed:
        faults.did_not_strike(planned, str(missed))
        return
    except TimeoutError as error:
        faults.problem(planned, str(error))
    finally:
        await fault.heal()
    faults.healed(planned)
