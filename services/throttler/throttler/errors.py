"""Error codes that only the throttler gives."""

from typing import Final

from common.errors import declare

UNKNOWN_METER: Final = declare(
    "unknown_meter", 422, "The body names a meter that does not exist; define the meter first."
)
RULE_CHANGED: Final = declare(
    "rule_changed", 409, "Another version of the rule is in force than was expected: look again."
)
UNKNOWN_RULE: Final = declare("unknown_rule", 404, "There is no rule with this slug.")
