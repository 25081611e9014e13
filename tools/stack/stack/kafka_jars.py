"""Kafka's jars from Maven Central, by a dependencies-only pom, kept in the user's cache folder."""

import shutil
import subprocess
from pathlib import Path

from stack import debian
from stack.folders import cache_folder, cache_lock
from stack.supervisor import StackError

KAFKA_VERSION = "4.2.0"
HOME = Path(__file__).parent / "kafka_home"
ENTRY = f"kafka-{KAFKA_VERSION}"


def jars_folder() -> Path:
    return cache_folder(ENTRY) / "libs"


def jars_are_cached() -> bool:
    return (jars_folder() / f"kafka_2.13-{KAFKA_VERSION}.jar").exists()


def ensure_jars() -> Path:
    """The folder of the jars; fetched with Maven the first time (some 55 MB).

    Installs Maven from Debian when it is missing and this is root on Debian. StackError otherwise.
    """
    if jars_are_cached():
        return jars_folder()
    with cache_lock(ENTRY):
        if jars_are_cached():
            return jars_folder()
        if shutil.which("mvn") is None:
            if not debian.is_debian():
                raise StackError("Kafka's jars are not cached and there is no Maven to fetch them")
            debian.install(["maven"])
        fetching = cache_folder(f"{ENTRY}.partial")
        shutil.rmtree(fetching, ignore_errors=True)
        fetching.mkdir(parents=True)
        shutil.copy(HOME / "pom.xml", fetching / "pom.xml")
        command = [
            *("mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", "-DoutputDirectory=libs"),
        ]
        done = subprocess.run(command, cwd=fetching, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip().splitlines()[:3]
            raise StackError(f"Maven could not fetch Kafka's jars: {' '.join(said)}")
        shutil.rmtree(cache_folder(ENTRY), ignore_errors=True)
        fetching.rename(cache_folder(ENTRY))
    return jars_folder()
