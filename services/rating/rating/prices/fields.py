"""Reads the fields of a price as a caller wrote them, and says exactly what is wrong where."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from common.money import plain

ANY_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
DECIMAL: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
WHOLE: Final = re.compile(r"[0-9]{1,12}")
USAGE_DIGITS: Final = 100
INTEGER_DIGITS: Final = 20
DECIMALS: Final = 18
"""What NUMERIC(38,18) holds."""


@dataclass(frozen=True)
class FieldError:
    """`path` as in `prices[0].tiers[1].up_to`; `message` is a sentence. `code` is the API's.
    `tolerated`: what was accepted before the rule existed stays readable; only what is new is
    refused."""

    path: str
    message: str
    code: str = "invalid_price"
    tolerated: bool = False


def grave(errors: Iterable[FieldError]) -> list[FieldError]:
    """The errors that nothing may have, however old."""
    return [error for error in errors if not error.tolerated]


class Fields:
    """One JSON object. Each field is read once; `finish` reports those that nobody read.

    Errors gather in one list that all nested objects share, so that a caller sees them all.
    """

    def __init__(self, value: Mapping[str, Any], path: str, errors: list[FieldError]) -> None:
        self._value, self._path, self.errors = value, path, errors
        self._read: set[str] = set()
        self._wrong: set[str] = set()

    def path(self, name: str) -> str:
        """The path of a field, as callers write it."""
        return f"{self._path}.{name}" if self._path else name

    def refuse(
        self, name: str, message: str, code: str = "invalid_price", *, tolerated: bool = False
    ) -> None:
        """Report the field `name`."""
        self._wrong.add(name)
        self.errors.append(FieldError(self.path(name), message, code, tolerated))

    def refuse_value(self, name: str, value: Any, rule: str) -> None:
        """Report a field that is missing, or whose value is not what the rule says it must be."""
        self.refuse(name, f"is missing; it {rule}" if value is None else rule)

    def is_right(self, name: str) -> bool:
        """Whether the field was not reported: what follows from it is no second fault."""
        return name not in self._wrong

    def raw(self, name: str) -> Any:
        """The value as it stands, None where it is missing."""
        self._read.add(name)
        return self._value.get(name)

    def decimal(
        self, name: str, *, default: Decimal | None = None, above_zero: bool = False
    ) -> Decimal:
        """A decimal that is not negative (or above zero), of NUMERIC(38,18).

        Without a default the field is required; with one, null is as good as leaving it out.
        After an error 0 is returned, so that reading can go on.
        """
        value = self.raw(name)
        if value is None and default is not None:
            return default
        problem = _decimal_problem(value)
        if problem is None:
            number = Decimal(value)
            if number > 0 or (not number.is_signed() and not above_zero):
                return number
            problem = "must be above 0" if above_zero else "must not be negative"
        self.refuse(name, problem)
        return Decimal(0)

    def maybe_decimal(self, name: str, *, above_zero: bool = False) -> Decimal | None:
        """A decimal as `decimal` reads it, or None where it is missing or null."""
        if self.raw(name) is None:
            return None
        return self.decimal(name, above_zero=above_zero)

    def quantity(self, name: str, *, default: Decimal | None = None) -> Decimal:
        """A decimal of usage or of money that was: any sign, at most 100 digits on each side of
        the point. Without a default it is required."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        problem = _decimal_problem(value, USAGE_DIGITS, USAGE_DIGITS)
        if problem is None:
            return Decimal(value)
        self.refuse(name, problem)
        return Decimal(0)

    def whole(self, name: str, *, default: int, most: int) -> int:
        """A whole number from 0 to `most`."""
        value = self.raw(name)
        if value is None:
            return default
        text = str(value) if type(value) is int else value
        if isinstance(text, str) and WHOLE.fullmatch(text) and int(text) <= most:
            return int(text)
        self.refuse(name, f"must be a whole number from 0 to {most:,}")
        return default

    def choice(self, name: str, known: Sequence[str], *, default: str | None = None) -> str:
        """One of some texts."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or value not in known:
            self.refuse_value(name, value, f"must be one of: {', '.join(known)}")
            return known[0]
        return value

    def within(self, name: str) -> "Fields | None":
        """The object in a field, to be read and finished; None where it is missing or wrong."""
        value = self.raw(name)
        if isinstance(value, Mapping):
            return Fields(value, self.path(name), self.errors)
        if value is not None:
            self.refuse(name, "must be an object")
        return None

    def texts(self, name: str) -> dict[str, str]:
        """An object of texts; empty where it is missing. Numbers, booleans and null become the
        texts that they become as dimensions of usage: 5, 5.0 and "5" are one, null is ""."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(name, "must be an object whose values are texts")
            return {}
        found = {key: _dimension(item) for key, item in value.items()}
        for key, item in found.items():
            if item is None:
                self.refuse(f"{name}.{key[:100]}", "must be a text, a number, true, false or null")
        return {key: item or "" for key, item in found.items()}

    def text(self, name: str, *, default: str | None = None, max_length: int = 200) -> str:
        """A string that is not empty; with a default it may be missing, null or empty."""
        value = self.raw(name)
        if default is not None and value in (None, ""):
            return default
        if not isinstance(value, str) or not 0 < len(value) <= max_length:
            self.refuse_value(name, value, f"must be a text of 1 to {max_length} characters")
            return ""
        return value

    def objects(self, name: str, *, max_items: int) -> Iterator["Fields"]:
        """The elements of a required list of objects, each to be read and finished in turn."""
        value = self.raw(name)
        if not isinstance(value, list) or not 0 < len(value) <= max_items:
            self.refuse_value(name, value, f"must be a list of 1 to {max_items} objects")
            return
        for index, item in enumerate(value):
            if isinstance(item, Mapping):
                yield Fields(item, f"{self.path(name)}[{index}]", self.errors)
            else:
                self.refuse(f"{name}[{index}]", "must be an object")

    def forgive(self) -> None:
        """Report no unread field: what may stand here is not known."""
        self._read.update(self._value)

    def finish(self) -> None:
        """Report every field that was not read; null is as good as leaving a field out."""
        for name, value in self._value.items():
            if name not in self._read and value is not None:
                self.refuse(name[:100], "is not a field here")


def _dimension(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(Decimal(str(value))) if isinstance(value, int | float) else None


def _decimal_problem(
    value: Any, integers: int = INTEGER_DIGITS, decimals: int = DECIMALS
) -> str | None:
    if value is None:
        return "is missing"
    if isinstance(value, bool) or not isinstance(value, str | int):
        return 'must be a decimal written as a text, for example "0.25"'
    text = str(value) if isinstance(value, str) or abs(value) < 10**120 else "9" * 121
    too_long = f"has more than {integers} digits before the point or {decimals} after it"
    if not DECIMAL.fullmatch(text):
        if ANY_DECIMAL.fullmatch(text):
            return too_long
        return f'{text[:40]!r} is not a decimal: write digits with a point, for example "1.5"'
    digits = Decimal(text).as_tuple()
    significant = "".join(map(str, digits.digits)).rstrip("0")
    exponent = int(digits.exponent) + len(digits.digits) - len(significant)
    if significant and (len(significant.lstrip("0")) + exponent > integers or -exponent > decimals):
        return too_long
    return None
