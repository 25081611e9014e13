"""Error codes that only the invoicer gives."""

from typing import Final

from common.errors import declare

UNKNOWN_TENANT: Final = declare("unknown_tenant", 404, "There is no tenant with this key.")
UNKNOWN_INVOICE: Final = declare("unknown_invoice", 404, "There is no invoice with this id.")
UNKNOWN_RUN: Final = declare("unknown_run", 404, "There is no run with this id.")
THROUGH_IN_FUTURE: Final = declare(
    "through_in_future", 422, "A run closes what has ended; `through` lies in the future."
)
OVERDRAWN: Final = declare("overdrawn", 409, "The wallet holds less than is to be paid out.")
REFERENCE_USED: Final = declare(
    "reference_used", 409, "The wallet has an entry of this kind with this reference already."
)
BAD_AMOUNT: Final = declare(
    "bad_amount", 422, "The currency has no minor unit, or the amount is not in whole ones."
)
CANNOT_DRAFT: Final = declare(
    "cannot_draft", 409, "The tenant's charges cannot become an invoice as they are."
)
CATALOG_NOT_READ: Final = declare(
    "catalog_not_read", 503, "The tenants have not been read since the start; try again."
)
