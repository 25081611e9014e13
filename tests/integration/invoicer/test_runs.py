"""A run: what it waits for, what it does when patience ends, and that it can be resumed."""

from datetime import timedelta

import asyncpg
import msgspec
import pytest

from invoicer.completeness import Node, NodesUnknown
from invoicer.store.runs import Run
from tests.integration.invoicer.conftest import Books
from tests.unit.invoicer.charging import ACME, DECEMBER, charge, fee


def waits(run: Run) -> list[tuple[str, str]]:
    return [(wait.kind, wait.name) for wait in run.waits]


async def tick(books: Books, run: Run) -> Run:
    await books.runner().tick()
    return await books.run(run)


async def test_it_waits_for_nodes_and_then_for_what_they_sent(books: Books) -> None:
    await books.put(fee())
    books.nodes = [Node(node="edge-1", sealed_through=DECEMBER - timedelta(seconds=1))]
    books.watermark = books.now - timedelta(seconds=5)
    run = await tick(books, await books.start())
    assert waits(run) == [("node", "edge-1"), ("watermark", "billing.charges")]

    books.nodes = [Node(node="edge-1", sealed_through=DECEMBER)]
    books.now += timedelta(seconds=10)
    run = await tick(books, run)
    assert waits(run) == [("watermark", "billing.charges")]
    assert run.waits[0].needed == books.now == run.nodes_settled_at
    assert await books.numbers() == []

    books.watermark = books.now
    run = await tick(books, run)
    assert (run.state, waits(run), run.missing) == ("done", [], [])
    assert await books.numbers() == ["TG-000001"]


async def test_grace_is_added_to_what_the_watermark_must_reach(books: Books) -> None:
    books.settings = books.settings.model_copy(update={"grace_seconds": 5.0})
    books.watermark = books.now + timedelta(seconds=4)
    run = await books.bill()
    assert waits(run) == [("watermark", "billing.charges")]
    books.watermark += timedelta(seconds=1)
    assert (await tick(books, run)).state == "done"


async def test_an_unknown_watermark_is_waited_for_beyond_all_patience(books: Books) -> None:
    await books.put(fee())
    books.watermark = None
    run = await books.bill()
    books.now += timedelta(days=30)
    run = await tick(books, run)
    assert (run.state, run.waits[0].now) == ("waiting", None)
    assert await books.numbers() == []


async def test_after_patience_the_invoice_names_the_silent_node(books: Books) -> None:
    await books.put(fee())
    books.nodes = [Node(node="edge-1", sealed_through=DECEMBER), Node(node="edge-2")]
    run = await books.bill()
    assert waits(run) == [("node", "edge-2")]
    books.now = run.patience_end
    run = await tick(books, run)
    assert run.state == "done"
    assert [missing.name for missing in run.missing] == ["edge-2"]
    document = await books.pool.fetchval("SELECT document::jsonb FROM invoicer.invoices")
    assert [missing["name"] for missing in document["missing"]] == ["edge-2"]


async def test_an_ingest_that_is_away_is_waited_for(books: Books) -> None:
    books.nodes = NodesUnknown("ingest answered 503")
    run = await books.bill()
    assert waits(run) == [("ingest", "ingest")]
    books.nodes = []
    assert (await tick(books, run)).state == "done"


async def test_a_waiting_run_does_not_hold_up_another(books: Books) -> None:
    await books.put(fee())
    books.nodes = [Node(node="edge-1", sealed_through=DECEMBER)]
    earlier = await books.start(DECEMBER - timedelta(hours=1))
    later = await books.start(DECEMBER + timedelta(minutes=30))
    await books.runner().tick()
    assert (await books.run(earlier)).state == "done"
    assert waits(await books.run(later)) == [("node", "edge-1")]


async def test_a_run_with_a_fault_says_so_and_does_not_hold_up_another(books: Books) -> None:
    await books.put(fee())
    first = await books.start(DECEMBER - timedelta(hours=1))
    second = await books.start(DECEMBER)
    asked = 0

    async def ask_nodes() -> list[Node]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("a bug")
        return []

    runner = books.runner()
    runner._ask_nodes = ask_nodes
    await runner.tick()
    assert waits(await books.run(first)) == [("fault", "ValueError")]
    assert (await books.run(second)).state == "done"
    await runner.tick()
    assert (await books.run(first)).state == "done"


async def test_a_tenant_that_cannot_be_invoiced_does_not_hold_up_the_others(books: Books) -> None:
    books.tenants["beta"] = msgspec.structs.replace(ACME, key="beta")
    await books.put(charge("bad", currency="XAU"), fee("good", tenant="beta"))
    run = await books.bill()
    assert run.state == "done"
    assert [(one.tenant, one.currency) for one in run.left_out] == [("acme", "XAU")]
    assert "XAU has no minor unit" in run.left_out[0].reason
    assert await books.numbers() == ["TG-000001"]


async def test_a_tenant_that_the_catalog_lacks_is_waited_for(books: Books) -> None:
    await books.put(fee(), fee("new", tenant="newcomer"))
    run = await books.bill()
    assert (run.state, waits(run)) == ("invoicing", [("tenant", "newcomer")])
    assert await books.numbers() == ["TG-000001"]
    books.tenants["newcomer"] = msgspec.structs.replace(ACME, key="newcomer")
    assert (await tick(books, run)).state == "done"
    assert await books.numbers() == ["TG-000001", "TG-000002"]


async def test_a_tenant_that_nobody_ever_defines_is_left_out(books: Books) -> None:
    await books.put(fee("new", tenant="nobody"))
    run = await books.bill()
    books.now = run.patience_end
    run = await tick(books, run)
    assert run.state == "done"
    assert [one.tenant for one in run.left_out] == ["nobody"]
    books.tenants["nobody"] = msgspec.structs.replace(ACME, key="nobody")
    await books.bill(DECEMBER + timedelta(minutes=1))
    assert await books.numbers() == ["TG-000001"]


async def test_a_catalog_that_is_still_being_read_leaves_nobody_out(books: Books) -> None:
    await books.put(fee())
    catalog, books.tenants = books.tenants, {}
    books.is_catalog_read = False
    run = await books.start()
    books.now = run.patience_end + timedelta(hours=1)
    assert (await tick(books, run)).state == "waiting"
    books.tenants, books.is_catalog_read = catalog, True
    run = await tick(books, run)
    assert (run.state, run.left_out) == ("done", [])
    assert await books.numbers() == ["TG-000001"]


async def test_another_worker_goes_on_where_one_died(books: Books) -> None:
    for key in ("a", "b", "c"):
        books.tenants[key] = msgspec.structs.replace(ACME, key=key)
        await books.put(fee(f"fee-{key}", tenant=key))
    run = await books.start()

    class Dying(dict[str, object]):
        """A catalog whose second look kills the process."""

        looks = 0

        def __getitem__(self, key: str) -> object:
            self.looks += 1
            if self.looks == 2:
                raise SystemExit("killed")
            return super().__getitem__(key)

    books.tenants = Dying(books.tenants)  # type: ignore[assignment]
    with pytest.raises(SystemExit):
        await books.runner("first").tick()
    books.tenants = dict(books.tenants)
    assert (await books.run(run)).state == "invoicing"
    await books.runner("second").tick()
    assert (await books.run(run)).state == "invoicing"  # the first one's lease still holds
    await books.pool.execute("UPDATE invoicer.runs SET lease_expires_at = now() - interval '1 s'")
    await books.runner("second").tick()
    assert (await books.run(run)).state == "done"
    assert await books.numbers() == ["TG-000001", "TG-000002", "TG-000003"]


async def test_a_restarted_worker_takes_its_own_run_back_at_once(books: Books) -> None:
    books.watermark = None
    run = await books.bill()
    books.watermark = DECEMBER + timedelta(days=1)
    await books.runner("w1").tick()
    assert (await books.run(run)).state == "done"


async def test_a_change_during_the_run_goes_to_the_next_one(books: Books) -> None:
    await books.put(fee(), fee("new", tenant="newcomer"))
    run = await books.bill()
    assert run.state == "invoicing"
    await books.put(fee(amount="50", version=2))
    await tick(books, run)
    assert await books.numbers() == ["TG-000001"]  # one invoice a tenant and run
    await books.bill(DECEMBER + timedelta(minutes=1))
    assert [line[3] for line in await books.lines()] == [49, 1]


async def test_the_database_holds_one_run_an_instant(pool: asyncpg.Pool, books: Books) -> None:
    first, second = await books.start(), await books.start()
    assert first.id == second.id
    assert await pool.fetchval("SELECT count(*) FROM invoicer.runs") == 1
