"""A short round of chaos: three kills, faults mixed, a budget; ``make chaos`` plays the long ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from chaos.checker import Account, audit, list_differences
from chaos.faults import PASSING, Script
from chaos.killer import Command, Ending, Toll, count_tolls, run_through
from chaos.provider import ChaosProvider, serve_chaos
from fakes.workspace import Workspace, make_workspace

from engine.errors import BudgetError

pytestmark = pytest.mark.slow

CONCURRENCY = 8
WANTED = 4
CALLS = 8 * WANTED
KILLS = 3
SCRIPT = Script(latency_seconds=0.1, cached=0.3, retry_after_seconds=0.2)
SHARES = dict.fromkeys(PASSING, 0.2 / len(PASSING))


@dataclass(frozen=True)
class Run:
    """A run that is over, its account, and what its kills cost."""

    workspace: Workspace
    ending: Ending
    tolls: list[Toll]
    account: Account


@contextmanager
def open_play(folder: Path, script: Script, **variables: str) -> Iterator[tuple[Workspace, ChaosProvider]]:
    with serve_chaos(folder / "provider", script) as provider:
        given = provider.variables | {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY)} | variables
        workspace = make_workspace(folder / "work", None, **given)
        workspace.write_effort(exemplars_per_pole=WANTED, max_cost_usd=None)
        yield workspace, provider


def play(
    prefect_url: str, workspace: Workspace, provider: ChaosProvider, kills: int = 0, limit_usd: float | None = None
) -> Run:
    limited = {} if limit_usd is None else {"EXEMPLARS_MAX_COST_USD": f"{limit_usd:.9f}"}
    bound = Workspace(workspace.folder, workspace.variables | limited)
    target = Command(bound, {"PREFECT_API_URL": prefect_url})
    ending = run_through(target, provider, kills, CALLS, seed=1)
    entries = provider.read()
    tolls = count_tolls(entries, ending.kills)
    return Run(workspace, ending, tolls, audit(workspace, entries, WANTED, limit_usd))


@pytest.fixture(scope="module")
def straight(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that meets no fault and is not killed."""
    with open_play(tmp_path_factory.mktemp("straight"), SCRIPT) as (workspace, provider):
        return play(prefect_server, workspace, provider)


def test_kills_repeat_what_was_in_flight_and_change_nothing(prefect_server: str, tmp_path: Path, straight: Run) -> None:
    with open_play(tmp_path, SCRIPT) as (workspace, provider):
        killed = play(prefect_server, workspace, provider, KILLS)

    assert ((), 0) == (straight.account.broken, straight.ending.code)
    assert ((), 0) == (killed.account.broken, killed.ending.code)
    assert [KILLS, 0] == [len(killed.tolls), sum(toll.again > CONCURRENCY for toll in killed.tolls)]
    assert [] == list_differences(*(run.workspace.list_sets()[0] for run in (straight, killed)))


def test_mixed_faults_lose_no_sample(prefect_server: str, tmp_path: Path) -> None:
    script = replace(SCRIPT, shares=SHARES, latency_seconds=0.0)
    with open_play(tmp_path, script, EXEMPLARS_CALL_TIMEOUT_SECONDS="1") as (workspace, provider):
        shaken = play(prefect_server, workspace, provider)
        fates = {entry.fate for entry in provider.read()}

    assert ((), 0, 0) == (shaken.account.broken, shaken.ending.code, shaken.account.short)
    assert len(fates) > 5


def test_budget_is_never_passed(prefect_server: str, tmp_path: Path, straight: Run) -> None:
    with open_play(tmp_path, SCRIPT) as (workspace, provider):
        bound = play(prefect_server, workspace, provider, limit_usd=0.8 * straight.account.spent_usd)

    assert ((), BudgetError.exit_code, 0) == (bound.account.broken, bound.ending.code, bound.account.kept_rows)
    assert bound.account.billed > 0
