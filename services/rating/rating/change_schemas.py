"""What may be changed of a subscription, and what its history looks like."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rating.history import Fact, Segment
from rating.schemas import Exact, Instant, Slug, Strict, SubscriptionOut
from rating.subscription import Subscription

Quantity = Annotated[Decimal, Field(ge=0, max_digits=38, decimal_places=18)]
Quantities = Annotated[dict[Slug, Quantity], Field(max_length=100)]


class _Change(Strict):
    at: Instant | Literal["period_end"] | None = Field(
        None,
        description="From when it holds: past or future, rounded down to ten seconds; period_end is"
        " the end of the running billing period; now when left out.",
    )
    reason: str = Field("", max_length=500, description="Why; kept in the history.")
    by: str = Field("", max_length=200, description="Who; kept in the history.")


class PlanChange(_Change):
    """Onto another plan, or another version of the same."""

    type: Literal["plan"]
    plan: Slug
    version: int | None = Field(None, ge=1, lt=2**31, strict=True)
    quantities: Quantities = {}


class QuantityChange(_Change):
    """So many seats, or of another quantity that the plan prices."""

    type: Literal["quantity"]
    name: Slug
    quantity: Quantity


class AddOnChange(_Change):
    """An add-on of the plan on, or off."""

    type: Literal["add_on"]
    add_on: Slug
    enabled: bool = True


class OverrideChange(_Change):
    """A price of the plan for this tenant alone: `fields` replace the plan's; null ends it."""

    type: Literal["override"]
    price: Slug
    fields: dict[str, Any] | None


class CouponChange(_Change):
    """A coupon, as a plan may have them."""

    type: Literal["coupon"]
    coupon: dict[str, Any]


class OneOffChange(_Change):
    """An amount that is due once."""

    type: Literal["one_off"]
    slug: Slug
    amount: Annotated[Decimal, Field(ge=0, max_digits=38, decimal_places=18)]
    description: str = Field("", max_length=200)


class PauseChange(_Change):
    """From then on nothing is charged."""

    type: Literal["pause"]


class ResumeChange(_Change):
    """From then on it goes on as before."""

    type: Literal["resume"]


class EndChange(_Change):
    """The subscription ends."""

    type: Literal["end"]


class RevokeChange(Strict):
    """An earlier change is taken back, as if it had not been."""

    type: Literal["revoke"]
    revision: int = Field(ge=1, lt=2**31, strict=True)
    reason: str = Field("", max_length=500)
    by: str = Field("", max_length=200)


Change = Annotated[
    PlanChange
    | QuantityChange
    | AddOnChange
    | OverrideChange
    | CouponChange
    | OneOffChange
    | PauseChange
    | ResumeChange
    | EndChange
    | RevokeChange,
    Field(discriminator="type"),
]


class FactOut(BaseModel):
    """One entry of the history. `at`: from when it holds; `recorded_at`: when it was said."""

    revision: int
    type: str
    at: datetime
    body: dict[str, Any]
    recorded_at: datetime | None
    by: str
    reason: str
    revoked: bool

    @classmethod
    def of(cls, fact: Fact, *, revoked: bool) -> "FactOut":
        return cls(
            revision=fact.revision,
            type=fact.kind,
            at=fact.at,
            body=fact.body,
            recorded_at=fact.recorded_at,
            by=fact.actor,
            reason=fact.reason,
            revoked=revoked,
        )


class SegmentOut(BaseModel):
    """[`from`, `to`) under the same terms."""

    start: datetime = Field(serialization_alias="from")
    end: datetime | None = Field(serialization_alias="to")
    plan: str
    version: int
    paused: bool
    quantities: dict[str, Exact]
    add_ons: list[str]
    overrides: list[str] = Field(description="Parts with prices of this tenant alone.")

    @classmethod
    def of(cls, segment: Segment) -> "SegmentOut":
        terms = segment.terms
        return cls(
            start=segment.start,
            end=segment.end,
            plan=terms.plan,
            version=terms.version,
            paused=terms.paused,
            quantities=dict(terms.quantities),
            add_ons=sorted(terms.add_ons),
            overrides=[slug for slug, _ in terms.overrides],
        )


class HistoryOut(BaseModel):
    """Every fact in the order of its recording, and the segments that they fold to."""

    items: list[FactOut]
    segments: list[SegmentOut]

    @classmethod
    def of(cls, subscription: Subscription) -> "HistoryOut":
        revoked = {fact.body["revision"] for fact in subscription.facts if fact.kind == "revoke"}
        return cls(
            items=[
                FactOut.of(fact, revoked=fact.revision in revoked) for fact in subscription.facts
            ],
            segments=[SegmentOut.of(one) for one in subscription.timeline.segments],
        )


class Difference(BaseModel):
    """A charge that the change makes, alters or withdraws; amounts are rounded, as invoices say
    them."""

    id: str
    price: str
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    before: Exact
    after: Exact
    difference: Exact


class ChangeOut(BaseModel):
    """`fact` is what was recorded (or would be). With a preview, `charges` are those that would
    change by now, and `difference` is their sum; periods to come are not in it."""

    preview: bool
    fact: FactOut
    subscription: SubscriptionOut
    segments: list[SegmentOut]
    charges: list[Difference] | None = None
    difference: Exact | None = None
    currency: str
