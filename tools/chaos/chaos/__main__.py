"""`python -m chaos`: a run of faults; exit code 1 when anything was lost, doubled or wrong."""

import argparse
import asyncio
import fcntl
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.faults import KINDS
from chaos.run import FAULTS_A_MINUTE, Options, run
from stack.folders import CHECKOUT
from stack.ports import Ports, free_base
from stack.supervisor import StackError


def main() -> int:
    options = parse(sys.argv[1:])
    try:
        with alone(options.folder):
            return asyncio.run(_until_signalled(options))
    except StackError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("chaos: interrupted; everything has been ended", file=sys.stderr)
        return 130


async def _until_signalled(options: Options) -> int:
    """SIGINT and SIGTERM end a run by cancelling it, so that it cleans up; also SIGINT where the
    run was started in the background, with that signal ignored."""
    task = asyncio.current_task()
    assert task is not None
    came: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        print(f"chaos: {number.name} came; ending", file=sys.stderr, flush=True)
        came.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await run(options)
    except asyncio.CancelledError:
        if not came:
            raise  # nobody asked for it: a fault of this program
        raise KeyboardInterrupt from None


def parse(arguments: list[str]) -> Options:
    """Options of the command line; what is left out comes from SEED, MINUTES, FAULTS and
    KINDS (all of them)."""
    environ = os.environ
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=environ.get("SEED") or random.randrange(10**6))
    parser.add_argument("--minutes", type=float, default=environ.get("MINUTES") or 10)
    parser.add_argument("--faults", type=int, default=environ.get("FAULTS") or None)
    known = [kind.name for kind in KINDS]
    parser.add_argument("--kinds", default=environ.get("KINDS") or ",".join(known))
    parser.add_argument("--folder", type=Path, default=CHECKOUT / ".stack" / "chaos")
    found = parser.parse_args(arguments)
    kinds = tuple(found.kinds.split(","))
    if unknown := set(kinds) - set(known):
        parser.error(f"unknown kinds {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    faults = found.faults or max(1, round(found.minutes * FAULTS_A_MINUTE))
    base = environ.get("TOLLGATE_BASE_PORT", "").strip()
    return Options(
        seed=found.seed,
        seconds=found.minutes * 60,
        faults=faults,
        kinds=kinds,
        folder=found.folder.resolve(),
        ports=Ports.from_environment() if base else free_base(),
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One run at a time in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError(f"another run is under way in {folder}") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
