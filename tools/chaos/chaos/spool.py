"""A collector's spool on a small disk of its own, which can be filled to the last byte."""

import errno
import os
import subprocess
from pathlib import Path

SIZE_MEBIBYTES = 32
BALLOON = "balloon"
PIECE_BYTES = 64 * 1024


class SpoolDisk:
    """A tmpfs of `SIZE_MEBIBYTES` at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def is_mounted(self) -> bool:
        return self.folder.is_mount()

    def mount(self) -> str | None:
        """None, or why this machine does not allow it; then `folder` is a plain one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={SIZE_MEBIBYTES}m,mode=0755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tollgate-chaos", str(self.folder)],
            capture_output=True,
            check=False,
        )
        return done.stderr.decode(errors="replace").strip() if done.returncode != 0 else None

    def unmount(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)

    def fill(self) -> int:
        """Takes all that is free; how many bytes that were."""
        size = 0
        piece = bytes(PIECE_BYTES)
        with (self.folder / BALLOON).open("ab", buffering=0) as balloon:
            while piece:
                try:
                    size += balloon.write(piece)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece = piece[: len(piece) // 2]
            os.fsync(balloon.fileno())
        return size

    def free(self) -> None:
        (self.folder / BALLOON).unlink(missing_ok=True)
