"""Every SQL statement of the invoicer: charges, runs and invoices, a module each."""

from typing import Final

SCHEMA: Final = "invoicer"
