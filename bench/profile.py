"""Where the Python processes of a run spend their time: py-spy beside the load, told as text.

Sampling costs the processes some of their speed, so a run that is profiled is not reported.
"""

import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

RATE = 100
"""Samples a second."""
STOP_SECONDS = 30
FRAMES = 25
SERVERS = ("kafka", "postgres")
SCAFFOLD = ("asyncio/", "uvicorn/", "typer/", "click/", "<module>", "threading.py", "concurrent/")
"""Frames below which everything runs; they say nothing."""
IDLE = ("threading.py", "concurrent/futures/thread.py")


@dataclass(frozen=True)
class Profile:
    """Shares of the samples in which a process was busy: by the innermost frame, and by any."""

    samples: int
    own: Mapping[str, float]
    within: Mapping[str, float]


@contextlib.contextmanager
def profiled(roots: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Samples the processes by name while the context lasts; one text file each in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    spy = str(Path(sys.executable).parent / "py-spy")
    running: dict[str, subprocess.Popen[bytes]] = {}
    for name, pid in roots.items():
        if name in SERVERS:
            continue
        command = [spy, "record", "--pid", str(pid), "--rate", str(RATE), "--format", "raw"]
        running[name] = subprocess.Popen(
            [*command, "--output", str(folder / f"{name}.raw")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        for name, process in running.items():
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            raw = folder / f"{name}.raw"
            if raw.exists():
                found = summed(raw.read_text().splitlines())
                (folder / f"{name}.txt").write_text(to_text(name, found))
                raw.unlink()


def summed(lines: Iterable[str]) -> Profile:
    """From py-spy's raw format, a stack with `;` between frames and a count a line."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    samples = 0
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any(idle in frames[-1] for idle in IDLE):
            continue
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in {frame for frame in frames if not any(part in frame for part in SCAFFOLD)}:
            within[frame] += int(count)
    return Profile(samples, _shares(own, samples), _shares(within, samples))


def to_text(name: str, profile: Profile) -> str:
    """The frames that matter, the most first."""
    parts = [f"{name}: {profile.samples} samples"]
    for title, shares in (("innermost", profile.own), ("anywhere", profile.within)):
        parts.append(f"\n{title}:")
        ordered = sorted(shares.items(), key=lambda item: -item[1])[:FRAMES]
        parts += [f"{share:6.1%}  {frame}" for frame, share in ordered]
    return "\n".join(parts) + "\n"


def _shares(counts: Counter[str], samples: int) -> dict[str, float]:
    return {frame: count / samples for frame, count in counts.items()} if samples else {}
