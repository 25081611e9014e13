"""CPU time and memory of the processes under measurement, by name."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import psutil

OWN_NAME = "bench"
_ROLE = re.compile(r"postgres: (\w+) \S+ \S+\(\d+\)")


class Processes:
    """The process trees of a stack, by the ids of their roots, and this process alone: the stack
    is below it."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._own = psutil.Process()

    def cpu_seconds(self) -> Counter[str]:
        """User and system time since each process began, by name; children that have ended are in
        their parents' time. PostgreSQL's is told by the service that it works for."""
        own = self._own.cpu_times()
        found: Counter[str] = Counter({OWN_NAME: own.user + own.system})
        for name, process in self._each():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            found[name] += times.user + times.system
            found[name] += times.children_user + times.children_system
        return found

    def rss_bytes(self) -> Counter[str]:
        """Resident memory by name; PostgreSQL's shared buffers count in each of its processes."""
        found: Counter[str] = Counter()
        for name, process in self._each():
            try:
                found[name] += process.memory_info().rss
            except psutil.Error:
                continue
        return found

    def _each(self) -> Iterator[tuple[str, psutil.Process]]:
        for name, pid in self._roots.items():
            try:
                root = psutil.Process(pid)
                tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in tree:
                yield (_postgres_name(process) if name == "postgres" else name), process


def _postgres_name(process: psutil.Process) -> str:
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        return "postgres"
    role = _ROLE.match(title)
    return f"postgres for {role[1]}" if role and role[1] != "postgres" else "postgres"


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds between two readings, by name, what used none left out. A backend that ended
    in between has its time in its parent's."""
    names: Iterable[str] = set(before) | set(after)
    spent = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in names}
    for name, seconds in list(spent.items()):
        if seconds < 0 and name.startswith("postgres for "):
            spent["postgres"] = spent.get("postgres", 0.0) + seconds
            spent[name] = 0.0
    return {name: seconds for name, seconds in sorted(spent.items()) if seconds > 0.0005}
