"""TimescaleDB (Apache edition) from Debian trixie, in a minbase root of its own, run by chroot.

The root is made once by mmdebstrap in the user's cache folder; each stack gets a copy by hard
links (no space, a fraction of a second), with the stack's data folder inside.
"""

import os
import shutil
import subprocess
from pathlib import Path

from stack import debian
from stack.folders import State, cache_folder, cache_lock
from stack.ports import Ports
from stack.postgres_settings import server_settings, superuser_dsn
from stack.program import Program
from stack.readiness import postgres_answers
from stack.supervisor import StackError
from stack.tuning import LAPTOP, Tuning

SUITE = "trixie"
PACKAGE = "postgresql-17-timescaledb"
ENTRY = f"timescaledb-{SUITE}-17"
PROGRAMS = "/usr/lib/postgresql/17/bin"
DATA = "/data"


def root_is_cached() -> bool:
    return (cache_folder(ENTRY) / PROGRAMS.lstrip("/") / "postgres").exists()


def ensure_root() -> Path:
    """The cached root; made the first time in some 30 s (530 MB). StackError when it cannot be."""
    root = cache_folder(ENTRY)
    if root_is_cached():
        return root
    with cache_lock(ENTRY):
        if root_is_cached():
            return root
        if os.geteuid() != 0:
            raise StackError("TimescaleDB's root needs root rights (chroot)")
        if shutil.which("mmdebstrap") is None:
            debian.install(["mmdebstrap"])
        making = cache_folder(f"{ENTRY}.partial")
        shutil.rmtree(making, ignore_errors=True)
        command = [
            *("mmdebstrap", "--variant=minbase", f"--include={PACKAGE}"),
            *(SUITE, str(making), debian.archive_mirror()),
        ]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
            shutil.rmtree(making, ignore_errors=True)
            raise StackError(f"mmdebstrap could not make TimescaleDB's root: {' '.join(said)}")
        making.chmod(0o755)
        making.rename(root)
    return root


def prepare(state: State, ports: Ports, tuning: Tuning = LAPTOP) -> Program:
    """Makes this stack's root and database cluster the first time; the program."""
    home = state.root / "timescaledb"
    root = home / "root"
    if not (root / PROGRAMS.lstrip("/") / "postgres").exists():
        _copy_root(ensure_root(), root)
    run = (
        *("chroot", "--userspec=postgres:postgres", str(root)),
        *("/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"),
    )
    data = root / DATA.lstrip("/")
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        _run("chroot", str(root), "chown", "postgres:postgres", DATA)
        _run(
            *run,
            *(f"{PROGRAMS}/initdb", "-D", DATA, "-U", "postgres", "-A", "trust"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )
    settings = {
        **server_settings(ports.postgres),
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        **tuning.postgres,
    }
    return Program(
        name="postgres",
        command=(
            *run,
            *(f"{PROGRAMS}/postgres", "-D", DATA),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ),
        folder=home,
        is_ready=lambda: postgres_answers(superuser_dsn(ports.postgres)),
        ports=(ports.postgres,),
        stop_signal="INT",
        start_seconds=60,
        priority=100,
    )


def _copy_root(cached: Path, root: Path) -> None:
    """Copies by hard links where both folders are on one file system, else by content."""
    making = root.with_name("root.partial")
    shutil.rmtree(making, ignore_errors=True)
    making.parent.mkdir(parents=True, exist_ok=True)
    linked = subprocess.run(
        ["cp", "-al", str(cached), str(making)], capture_output=True, check=False
    )
    if linked.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        _run("cp", "-a", str(cached), str(making))
    shared_memory = making / "dev" / "shm"
    shared_memory.mkdir(parents=True, exist_ok=True)
    shared_memory.chmod(0o1777)
    making.rename(root)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise StackError(f"{' '.join(command[:3])} ...: {said}")
