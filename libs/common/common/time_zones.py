"""The time zones that may be named."""

from functools import cache
from typing import Final
from zoneinfo import available_timezones

_OF_THE_MACHINE: Final = frozenset({"localtime", "posixrules"})
"""Lie among the calendar's files, and lead to what this machine's /etc says."""


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA database: the calendar's own files, not whatever a path may lead to,
    and nothing that means another zone on another machine."""
    return frozenset(available_timezones()) - _OF_THE_MACHINE
