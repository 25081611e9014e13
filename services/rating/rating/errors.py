"""Error codes that only rating answers."""

from typing import Final

from common.errors import CONFLICT, INVALID_REQUEST, ApiError, ErrorCode, declare
from rating.prices.fields import FieldError

INVALID_PRICE: Final = declare(
    "invalid_price", 422, "A plan has fields or prices that cannot be; `errors` names each."
)
UNKNOWN_MODEL: Final = declare("unknown_model", 422, "A price names a model that does not exist.")
UNSUPPORTED_MODEL: Final = declare(
    "unsupported_model", 422, "A plan's price needs more than the usage that rating receives."
)
UNFIT_METER: Final = declare(
    "unfit_meter", 422, "A price's model looks at something that its meter does not keep."
)
UNKNOWN_METER: Final = declare(
    "unknown_meter", 422, "The body names a meter that does not exist; define the meter first."
)
UNKNOWN_CURRENCY: Final = declare(
    "unknown_currency", 422, "Not an ISO 4217 currency with a minor unit."
)
UNKNOWN_TIMEZONE: Final = declare(
    "unknown_timezone", 422, "Not a time zone of the IANA database, such as Europe/Berlin."
)
UNKNOWN_TENANT: Final = declare("unknown_tenant", 404, "There is no tenant with this key.")
TENANT_IN_USE: Final = declare(
    "tenant_in_use",
    409,
    "Currency, time zone and billing day stay as they are once the tenant has subscribed.",
)
UNKNOWN_PLAN: Final = declare("unknown_plan", 404, "There is no such plan, or no such version.")
UNKNOWN_SUBSCRIPTION: Final = declare(
    "unknown_subscription", 404, "There is no subscription with this id."
)
UNKNOWN_REFERENCE: Final = declare(
    "unknown_reference", 422, "The body names a tenant or a plan's version that does not exist."
)
UNKNOWN_CHARGE: Final = declare("unknown_charge", 404, "There is no charge with this id.")
WITHDRAWN_CHARGE: Final = declare(
    "withdrawn_charge", 409, "The charge owes nothing: its period does not exist any more."
)
UNKNOWN_RERATE: Final = declare("unknown_rerate", 404, "There is no re-rating with this id.")
RERATE_STALE: Final = declare(
    "rerate_stale",
    409,
    "The re-rating would do something else by now than what was previewed; make a new one.",
)
RERATE_DECIDED: Final = declare(
    "rerate_decided", 409, "The re-rating was decided the other way already."
)
CURRENCY_MISMATCH: Final = declare(
    "currency_mismatch", 422, "The plan's currency is not the tenant's."
)
OVERLAPPING_SUBSCRIPTION: Final = declare(
    "overlapping_subscription", 409, "The tenant is on the same plan already at that time."
)
CUT_OUTSIDE_PERIOD: Final = declare(
    "cut_outside_period", 422, "Only the running period can be billed now."
)

NO_PERIODS: Final = declare(
    "no_periods", 422, "No billing period of the tenants that were asked for begins in that time."
)
CATALOG_CHANGED: Final = declare(
    "catalog_changed", 409, "The catalog is not at the revision that was expected: look again."
)

REFUSALS: Final[dict[str, ErrorCode]] = {
    code.code: code for code in (INVALID_REQUEST, CONFLICT, CUT_OUTSIDE_PERIOD)
}
"""What `subscription.Refused` may say."""

FIELDS: Final[dict[str, ErrorCode]] = {
    code.code: code
    for code in (
        INVALID_PRICE,
        UNKNOWN_MODEL,
        UNSUPPORTED_MODEL,
        UNFIT_METER,
        UNKNOWN_METER,
        UNKNOWN_CURRENCY,
    )
}
"""What `prices.fields.FieldError` may say."""


def code_of(errors: list[FieldError]) -> ErrorCode:
    """The code for a list of errors: the special one when all are of that kind."""
    codes = {error.code for error in errors}
    return FIELDS[codes.pop()] if len(codes) == 1 else INVALID_PRICE


def refuse(errors: list[FieldError], path: str) -> None:
    """Raises `ApiError` when there are errors. `path` stands before the fields' names."""
    if errors:
        listed = [{"path": f"{path}{one.path}", "message": one.message} for one in errors[:100]]
        detail = "; ".join(f"{one['path']}: {one['message']}" for one in listed[:5])
        raise ApiError(code_of(errors), detail, errors=listed)
