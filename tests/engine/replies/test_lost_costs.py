"""A limit on cost is never passed, however many machines are lost on the way and whenever that happens."""

import asyncio
import itertools
import random
import shutil
from pathlib import Path

import pytest
from fakes.client import FakeClient, HeardProgress, labelled
from fakes.long import choose, longer

from engine.errors import BudgetError
from engine.gateway.budget import RunBudget, bound_call
from engine.gateway.model_gateway import ModelGateway
from engine.llm.prices import Price
from engine.llm.request import Endpoint, Prompt, Reply, Request
from engine.settings import RepliesPlace

PLAN = "plan-1"
PRICED = Endpoint(name="openai/test", model="openai/test", identity="openai/test@", price=Price(1e-6, 1e-5))
CALL_USD = 0.0004
CALLS = 3500
# Less than all calls cost.
LIMIT_USD = 1.0
CONCURRENCY = 16
MACHINES = 3


class Spender(FakeClient):
    """Is paid for each call from the moment that it is asked.

    When it has been asked so often, the store is copied as other machines see it then: for them, all that comes after
    never was. ``paid_usd`` is what had been paid.
    """

    def __init__(self, store: Path, copied_after: int = CALLS, copy: Path | None = None) -> None:
        super().__init__(self.answer_one, PRICED)
        self._store = store
        self._copied_after = copied_after
        self._copy = copy

    @property
    def paid_usd(self) -> float:
        """Up to the copy, if there is one."""
        return CALL_USD * min(len(self.requests), self._copied_after)

    async def complete(self, request: Request) -> Reply:
        """One reply."""
        if len(self.requests) == self._copied_after and self._copy:
            shutil.copytree(self._store, self._copy, ignore=shutil.ignore_patterns(".*"))
        return await super().complete(request)

    def answer_one(self, request: Request) -> Reply:
        assert CALL_USD <= (bound_call(request, PRICED).usd or 0)
        return Reply("one", "stop", 100, 30, CALL_USD)


async def ask_all(client: Spender, machine: Path, store: Path) -> None:
    """Asks for everything, until the limit is reached."""
    gateway = ModelGateway(
        client, RepliesPlace(str(machine), str(store)), HeardProgress(), RunBudget(CONCURRENCY, LIMIT_USD)
    )
    with pytest.raises(BudgetError):
        async with gateway.keeping(PLAN):
            await asyncio.gather(
                *(gateway.complete(labelled(f"cell-{number}", make_request(number))) for number in range(CALLS))
            )


def make_request(number: int) -> Request:
    return Request(Prompt(f"Write text {number}."), 60, 0.8)


@longer
@pytest.mark.parametrize("seed", range(choose(once=2, at_length=20)))
async def test_limit_holds_over_machines_that_are_lost_one_after_another(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    stores = [tmp_path / f"store-{number}" for number in range(MACHINES + 1)]
    stores[0].mkdir()
    spenders = [Spender(store, rng.randrange(1, 500), copy) for store, copy in itertools.pairwise(stores)]
    for number, client in enumerate([*spenders, last := Spender(stores[-1])]):
        await ask_all(client, tmp_path / f"machine-{number}", stores[number])
    paid_usd = sum(client.paid_usd for client in (*spenders, last))
    print(f"${paid_usd:.3f} of ${LIMIT_USD:g} spent over {MACHINES} lost machines and one more")

    # Each lost machine takes along what it had said and not used; the rest is used.
    assert 0.5 * LIMIT_USD < paid_usd <= LIMIT_USD
