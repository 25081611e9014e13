"""Each protection is missed within a few seeds when it is gone; `make mutants` says how often."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_a_removed_protection_is_noticed() -> None:
    """In processes of their own: a protection is removed as its module is imported. The seeds that
    notice are also run with everything in place, and must find nothing."""
    command = [sys.executable, "-m", "tests.mutants", "--quick"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
