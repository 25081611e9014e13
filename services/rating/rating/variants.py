"""Variants of a plan's body: its prices in another currency, or with a tenant's own prices.

Both say the same kind of thing: by the slug of a part, the fields that replace the plan's. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rating.parts.price import overridden

SECTIONS: Final = ("prices", "one_offs", "commitments", "credits", "coupons")
"""Where a plan's parts stand; an add-on has the first two."""


IDENTIFYING: Final = ("slug", "meter", "quantity")
"""Fields that say what a part is of; they are the same in every variant."""


def parts_of(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(section, part) of a body, those of its add-ons included; what is malformed is left out."""
    for section in SECTIONS:
        for part in _objects(body.get(section)):
            yield section, part
    for add_on in _objects(body.get("add_ons")):
        for section in SECTIONS[:2]:
            for part in _objects(add_on.get(section)):
                yield section, part


def place_of(body: Mapping[str, Any], slug: str) -> str | None:
    """Where the part with that slug stands in a body that was accepted: `add_ons[0].prices[1]`."""
    for section in SECTIONS:
        for place, part in enumerate(_objects(body.get(section))):
            if part.get("slug") == slug:
                return f"{section}[{place}]"
    for place, add_on in enumerate(_objects(body.get("add_ons"))):
        if (inner := place_of({**add_on, "add_ons": None}, slug)) is not None:
            return f"add_ons[{place}].{inner}"
    return None


def part(body: Mapping[str, Any], slug: str) -> tuple[str, Mapping[str, Any]] | None:
    """(section, part) with that slug."""
    return next((found for found in parts_of(body) if found[1].get("slug") == slug), None)


def in_currency(body: Mapping[str, Any], currency: str) -> dict[str, Any] | None:
    """The body in a currency that the plan is sold in, or None."""
    others = body.get("currencies") or {}
    plain = {name: value for name, value in body.items() if name != "currencies"}
    if currency == body.get("currency"):
        return plain
    if currency not in others:
        return None
    return {**with_fields(plain, others[currency]), "currency": currency}


def with_fields(body: Mapping[str, Any], by_slug: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the fields of some parts replaced; slugs that it lacks are of no concern."""
    made = _sections(body, SECTIONS, by_slug)
    if isinstance(body.get("add_ons"), list):
        made["add_ons"] = [
            _sections(add_on, SECTIONS[:2], by_slug) if isinstance(add_on, Mapping) else add_on
            for add_on in body["add_ons"]
        ]
    return made


def _sections(
    body: Mapping[str, Any], sections: tuple[str, ...], by_slug: Mapping[str, Any]
) -> dict[str, Any]:
    made = dict(body)
    for section in sections:
        if isinstance(body.get(section), list):
            made[section] = [_replaced(section, part, by_slug) for part in body[section]]
    return made


def _replaced(section: str, part: Any, by_slug: Mapping[str, Any]) -> Any:
    slug = part.get("slug") if isinstance(part, Mapping) else None
    fields = by_slug.get(slug) if isinstance(slug, str) else None
    if not isinstance(fields, Mapping):
        return part
    return overridden(part, fields) if section == "prices" else {**part, **fields}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
