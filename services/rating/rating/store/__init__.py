"""Every SQL statement of rating, by subject."""

from typing import Final

SCHEMA: Final = "rating"
