"""An add-on: prices and one-offs that a subscription may turn on and off.

{"slug": "backup", "name": "Backup", "prices": [{"slug": "backup-fee", ...}], "one_offs": []}
"""

from dataclasses import dataclass
from typing import Any

from rating.parts.names import read_new_slug
from rating.parts.one_off import OneOff, read_one_off
from rating.parts.price import PlanPrice, read_plan_price
from rating.prices.fields import Fields

MAX_PARTS = 100


@dataclass(frozen=True)
class AddOn:
    slug: str
    name: str
    prices: tuple[PlanPrice, ...]
    one_offs: tuple[OneOff, ...] = ()

    def canonical(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "slug": self.slug,
            "name": self.name,
            "prices": [price.canonical() for price in self.prices],
        }
        if self.one_offs:
            made["one_offs"] = [one_off.canonical() for one_off in self.one_offs]
        return made


def read_add_on(fields: Fields, taken: set[str]) -> AddOn:
    """The add-on in `fields`, which are finished here."""
    slug = read_new_slug(fields, taken)
    name = fields.text("name", default=slug or "add-on")
    prices = [
        read_plan_price(item, taken, slug) for item in fields.objects("prices", max_items=MAX_PARTS)
    ]
    one_offs: list[OneOff] = []
    if fields.raw("one_offs") not in (None, []):
        for item in fields.objects("one_offs", max_items=MAX_PARTS):
            one_offs.append(read_one_off(item, taken, slug))
    fields.finish()
    return AddOn(slug, name, tuple(prices), tuple(one_offs))
