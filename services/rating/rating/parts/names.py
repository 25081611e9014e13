"""The names that plans, their parts and their quantities have."""

import re
from typing import Final

from rating.prices.fields import Fields

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
SLUG_RULE: Final = (
    "must be 1 to 63 of a-z, 0-9, point, dash and underscore, and begin with a letter or digit"
)


def read_slug(fields: Fields, name: str = "slug") -> str:
    """A name; empty after an error."""
    slug = fields.text(name, max_length=63)
    if slug and not SLUG.fullmatch(slug):
        fields.refuse(name, SLUG_RULE)
        return ""
    return slug


def read_new_slug(fields: Fields, taken: set[str]) -> str:
    """The name of a part, which no other part of the plan may have; it is added to `taken`."""
    slug = read_slug(fields)
    if slug in taken:
        fields.refuse("slug", f"{slug} names another part of the plan already")
    elif slug:
        taken.add(slug)
    return slug


def read_slugs(fields: Fields, name: str) -> tuple[str, ...] | None:
    """A list of names, or None where it is missing: whether they exist is checked elsewhere."""
    value = fields.raw(name)
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(one, str) for one in value)
        or len(set(value)) != len(value)
    ):
        fields.refuse(name, "must be a list of different names of prices")
        return None
    return tuple(value)
