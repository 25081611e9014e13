"""Java's version from what it prints."""

import pytest

from stack.java import parse_version


@pytest.mark.parametrize(
    ("printed", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_401"', 8),
        ("command not found", None),
    ],
)
def test_the_major_version(printed: str, major: int | None) -> None:
    assert parse_version(printed) == major
