"""The demo in a short form, on the servers of this machine and on Python alone.

It kills three processes and compares every unit and cent with the gate's own log; its exit code
is the verdict.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from stack import machine
from stack.choice import choose, parse_wanted
from stack.ports import free_base

SECONDS = "14"
"""Long enough for the three kills and the crossing of the quota."""


async def run_demo(stack: str, state: Path) -> str:
    environment = os.environ | {
        "STACK": stack,
        "TOLLGATE_STATE": str(state),
        "TOLLGATE_BASE_PORT": str(free_base().base),
        "DEMO_SECONDS": SECONDS,
        "KEEP": "",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "demo",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    return text


@pytest.mark.servers
@pytest.mark.timeout(240)
@pytest.mark.parametrize("stack", ["native", "embedded"])
async def test_nothing_differs_after_three_kills(stack: str, tmp_path: Path) -> None:
    if stack == "native" and not choose(machine.look(), parse_wanted("")).is_native:
        pytest.skip("the native stack needs Debian, root and the servers' packages")
    text = await run_demo(stack, tmp_path / "state")
    assert text.count("SIGKILL") == 3
    assert "0 differences" in text
    assert "DIFFERENT" not in text
