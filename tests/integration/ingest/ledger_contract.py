"""What every ledger must do. Subclass it with a `ledger` and a `transactions` fixture."""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from typing import Any

import pytest

from ingest.ledger import Claim, Ledger, Verdict

FRESH, DUPLICATE, CONFLICT = Verdict.FRESH, Verdict.DUPLICATE, Verdict.CONFLICT
Transactions = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens a transaction: committed at the end of the block, rolled back when it raises."""


class RolledBackError(Exception):
    """Raised by tests to roll a transaction back."""


def claim(
    name: str,
    offset: int,
    number: int = 0,
    *,
    content: str = "same",
    day: int = 20_000,
    stamped: bool = False,
) -> Claim:
    identity = blake2b(name.encode(), digest_size=16).digest()
    return Claim(
        day,
        identity,
        blake2b(content.encode(), digest_size=8).digest(),
        offset,
        number,
        stamped,
        shard=identity[0],
    )


class LedgerContract:
    async def test_the_first_copy_is_fresh_and_later_ones_are_not(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        async with transactions() as tx:
            assert await ledger.admit(tx, 0, [claim("a", 1), claim("b", 1, 1)]) == [FRESH] * 2
        async with transactions() as tx:
            verdicts = await ledger.admit(
                tx, 0, [claim("a", 2), claim("c", 2, 1), claim("b", 2, 2, content="other")]
            )
        assert verdicts == [DUPLICATE, FRESH, CONFLICT]

    async def test_copies_within_one_step(self, ledger: Ledger, transactions: Transactions) -> None:
        async with transactions() as tx:
            verdicts = await ledger.admit(
                tx, 0, [claim("a", 2), claim("a", 1, 7), claim("a", 3, content="other")]
            )
        assert verdicts == [DUPLICATE, FRESH, CONFLICT]

    async def test_the_same_claims_get_the_same_verdicts_again(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        claims = [claim("a", 1), claim("a", 1, 1), claim("b", 2), claim("b", 3, content="other")]
        async with transactions() as tx:
            first = await ledger.admit(tx, 0, claims)
            assert await ledger.admit(tx, 0, claims) == first
        async with transactions() as tx:
            assert await ledger.decided(tx, 0, claims) == [v is FRESH for v in first]
            assert await ledger.admit(tx, 0, claims) == first

    async def test_deciding_again_remembers_nothing(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        async with transactions() as tx:
            assert await ledger.decided(tx, 0, [claim("a", 1)]) == [False]
            assert await ledger.decided(tx, 0, []) == []
        async with transactions() as tx:
            assert await ledger.admit(tx, 0, [claim("a", 2)]) == [FRESH]

    async def test_another_partition_is_another_origin(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        async with transactions() as tx:
            assert await ledger.admit(tx, 0, [claim("a", 1)]) == [FRESH]
        async with transactions() as tx:
            assert await ledger.admit(tx, 1, [claim("a", 1)]) == [DUPLICATE]
            assert await ledger.decided(tx, 1, [claim("a", 1)]) == [False]
            assert await ledger.decided(tx, 0, [claim("a", 1)]) == [True]

    async def test_what_is_rolled_back_was_never_there(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        try:
            async with transactions() as tx:
                await ledger.admit(tx, 0, [claim("a", 1)])
                raise RolledBackError
        except RolledBackError:
            pass
        async with transactions() as tx:
            assert await ledger.admit(tx, 0, [claim("a", 2)]) == [FRESH]

    async def test_identities_live_within_a_day(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        async with transactions() as tx:
            claims = [claim("a", 1, day=20_000), claim("a", 2, day=20_001)]
            assert await ledger.admit(tx, 0, claims) == [FRESH, FRESH]

    async def test_a_stamped_event_looks_at_the_days_beside_its_own(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        async with transactions() as tx:
            await ledger.admit(tx, 0, [claim("a", 1, day=20_000, stamped=True)])
        async with transactions() as tx:
            late = [
                claim("a", 2, day=20_001, stamped=True),
                claim("a", 3, day=19_999, stamped=True),
                claim("a", 4, day=20_001, content="other", stamped=True),
                claim("a", 5, day=20_002, stamped=True),
            ]
            first = await ledger.admit(tx, 0, late)
            assert first == [DUPLICATE, DUPLICATE, CONFLICT, FRESH]
            assert await ledger.admit(tx, 0, late) == first
            assert await ledger.decided(tx, 0, late) == [False, False, False, True]

    async def test_stamped_copies_of_two_days_in_one_step(
        self, ledger: Ledger, transactions: Transactions
    ) -> None:
        async with transactions() as tx:
            both = [
                claim("a", 1, day=20_000, stamped=True),
                claim("a", 2, day=20_001, stamped=True),
            ]
            assert await ledger.admit(tx, 0, both) == [FRESH, DUPLICATE]

    async def test_old_days_are_forgotten(self, ledger: Ledger, transactions: Transactions) -> None:
        async with transactions() as tx:
            await ledger.admit(tx, 0, [claim("a", 1, day=19_000), claim("b", 2, day=20_000)])
        async with transactions() as tx:
            assert await ledger.forget_before(tx, 20_000) == 1
            assert await ledger.forget_before(tx, 20_000) == 0
        async with transactions() as tx:
            claims = [claim("a", 3, day=19_000), claim("b", 4, day=20_000)]
            assert await ledger.admit(tx, 0, claims) == [FRESH, DUPLICATE]

    @pytest.mark.parametrize("seed", range(5))
    async def test_agrees_with_a_dictionary(
        self, ledger: Ledger, transactions: Transactions, seed: int
    ) -> None:
        chance = random.Random(seed)
        first: dict[tuple[str, int], tuple[int, int, str]] = {}
        for offset in range(20):
            events = [
                (chance.choice("abcdef"), chance.choice("xy"), chance.randint(20_000, 20_002))
                for _ in range(chance.randint(0, 6))
            ]
            expected = []
            for number, (name, content, day) in enumerate(events):
                origin = first.setdefault((name, day), (offset, number, content))
                same = DUPLICATE if origin[2] == content else CONFLICT
                expected.append(FRESH if origin[:2] == (offset, number) else same)
            claims = [
                claim(name, offset, number, content=content, day=day)
                for number, (name, content, day) in enumerate(events)
            ]
            async with transactions() as tx:
                assert await ledger.admit(tx, 0, claims) == expected
