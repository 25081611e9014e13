"""Names that survive a power cut: a new name is durable only once its folder has been synced.

The files need no help: SQLite syncs their folder with the first sync of a new journal or WAL, so
before the first commit has returned.
"""

import contextlib
import os
from pathlib import Path


def make_directory(directory: Path) -> None:
    """Makes `directory` with its parents where absent, and makes all their names durable.

    Also those that were there: a process that was killed may have made them without a sync.
    """
    directory.mkdir(parents=True, exist_ok=True)
    device = directory.stat().st_dev
    for parent in directory.absolute().parents:
        if parent.stat().st_dev != device:
            return  # a file system mounted here holds nothing that was just made
        with contextlib.suppress(PermissionError):  # then this user made nothing in it
            sync_directory(parent)


def sync_directory(directory: Path) -> None:
    """Returns when the names in `directory` are on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
