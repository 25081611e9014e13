"""Debian's packages: which archive this machine uses, and installing what is missing from it."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from stack.supervisor import StackError

APT = Path("/etc/apt")


def is_debian(os_release: Path = Path("/etc/os-release")) -> bool:
    try:
        return "\nID=debian" in "\n" + os_release.read_text().replace('"', "")
    except OSError:
        return False


def archive_mirror(folder: Path = APT) -> str:
    """The address of the Debian archive as this machine's apt is configured (never the security
    archive). StackError when apt names none."""
    sources = [*sorted((folder / "sources.list.d").glob("*.sources"))]
    for path in sources:
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            lines = [line for line in stanza.splitlines() if not line.startswith("#")]
            fields = dict(line.split(":", 1) for line in lines if re.match(r"\w[\w-]*:", line))
            if "deb" not in fields.get("Types", "").split():
                continue
            for address in fields.get("URIs", "").split():
                if _is_archive(address):
                    return address
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else ():
            found = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)", line)
            if found and _is_archive(found[1]):
                return found[1]
    raise StackError("apt's configuration names no Debian archive")


def _is_archive(address: str) -> bool:
    return address.rstrip("/").endswith("/debian")


def install(packages: Iterable[str]) -> None:
    """Installs the packages with apt-get. StackError tells what apt said when it cannot."""
    names = list(packages)
    if not names:
        return
    if os.geteuid() != 0:
        raise StackError(
            f"installing {', '.join(names)} needs root: apt-get install {' '.join(names)}"
        )
    # RUNLEVEL=1: packages must not start their daemons.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *names],
    ):
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
            raise StackError(f"{' '.join(command)}: {' '.join(said)}")
