"""What a test needs of the machine beyond Python. A machine without it skips the test and says
why at the end; on the native stack such a skip fails the session (see tests/conftest.py)."""

import pytest

from stack.machine import find_program


def need_program(name: str) -> str:
    """The path of a program such as nginx, wrk or pdftotext."""
    path = find_program(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
