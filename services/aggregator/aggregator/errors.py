"""The aggregator's error codes."""

from typing import Final

from common.errors import declare

UNKNOWN_METER: Final = declare("unknown_meter", 404, "There is no meter of that slug.")
INVALID_METER: Final = declare("invalid_meter", 422, "The definition cannot be a meter.")
METER_CHANGED: Final = declare(
    "meter_changed", 409, "The meter is at another revision than was expected: look again."
)
METER_MEANING: Final = declare(
    "meter_meaning_changed",
    409,
    "The change would give usage that is already counted another meaning; define another meter.",
)
UNKNOWN_DIMENSION: Final = declare(
    "unknown_dimension", 422, "The meter does not have that dimension."
)
INVALID_TIMEZONE: Final = declare(
    "invalid_timezone", 422, "The time zone is not in the IANA database."
)
INVALID_RANGE: Final = declare(
    "invalid_range", 422, "`from` must lie before `to`, both between the years 1970 and 2200."
)
TOO_MANY_WINDOWS: Final = declare(
    "too_many_windows", 422, "The range holds more windows than one query may have."
)
