"""Where a stack keeps its state, and where downloads wait for the next clone."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
SOCKET_PATH_BYTES_MAX = 100
"""Unix sockets' paths end at 107 bytes; supervisord adds a suffix while it creates its own."""


def cache_folder(name: str = "") -> Path:
    """The user's cache folder for downloads (XDG_CACHE_HOME, else ~/.cache), plus `name`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tollgate" / name


@contextmanager
def cache_lock(name: str) -> Iterator[None]:
    """Lets one process at a time fill the cache entry `name`; released also when it is killed."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def default_root() -> Path:
    """`.stack` in the checkout, or the folder that TOLLGATE_STATE names."""
    return Path(os.environ.get("TOLLGATE_STATE") or CHECKOUT / ".stack").resolve()


@dataclass(frozen=True, slots=True)
class State:
    """The folder of one stack: configuration, process records, logs, data."""

    root: Path = field(default_factory=default_root)

    def make(self) -> None:
        for folder in (self.root, self.programs, self.records, self.logs):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def programs(self) -> Path:
        return self.root / "programs"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def services(self) -> Path:
        """What the services keep themselves, such as the collector's spool."""
        return self.root / "services"

    @property
    def about(self) -> Path:
        """What runs here: the choice of servers and their addresses, as JSON."""
        return self.root / "stack.json"

    @property
    def outside(self) -> Path:
        """A folder in the system's temporary folder, for what a path's length or rights forbid."""
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"tollgate-{os.getuid()}-{digest}"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Lets one command at a time start or stop things here."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def make_outside(self) -> Path:
        """Makes `outside`; PermissionError when another user made it first."""
        self.outside.mkdir(mode=0o755, exist_ok=True)
        if self.outside.is_symlink() or self.outside.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.outside} belongs to another user")
        return self.outside

    @property
    def supervisor_socket(self) -> Path:
        path = self.root / "supervisor.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            return path
        return self.make_outside() / "supervisor.sock"
