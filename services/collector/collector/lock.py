"""One process a spool: a lock that the kernel gives up when its holder dies."""

import fcntl
import os
from pathlib import Path

from collector.durable import make_directory
from common.settings import UnsafeSettings


class DirectoryLock:
    """Holds `directory` (made, durably, if absent) until it is released or the process ends."""

    def __init__(self, directory: Path) -> None:
        make_directory(directory)
        self._descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise UnsafeSettings(
                f"another collector uses {directory}: give each one its own TOLLGATE_SPOOL_DIR"
            ) from None

    def release(self) -> None:
        """Lets another process have the directory."""
        os.close(self._descriptor)
