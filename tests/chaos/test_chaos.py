"""A short round of chaos: a kill, faults mixed, a budget; ``make chaos`` plays the long ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from chaos.checker import Account, audit, list_differences
from chaos.faults import PASSING, Script
from chaos.killer import Command, count_tolls, run_through
from chaos.provider import ChaosProvider, serve_chaos
from fakes.database import lay_database
from fakes.workspace import Workspace, make_workspace

from engine.errors import BudgetError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

CONCURRENCY = 8
WANTED = 4
CALLS = 8 * WANTED
SCRIPT = Script(latency_seconds=0.1, cached=0.3, retry_after_seconds=0.2)
SHARES = dict.fromkeys(PASSING, 0.2 / len(PASSING))


@contextmanager
def open_play(folder: Path, script: Script, **variables: str) -> Iterator[tuple[Workspace, ChaosProvider]]:
    with serve_chaos(folder / "provider", script) as provider:
        given = provider.variables | {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY)} | variables
        workspace = make_workspace(folder / "work", None, **given)
        workspace.write_effort(exemplars_per_pole=WANTED, max_cost_usd=None)
        yield workspace, provider


def play_straight(folder: Path) -> tuple[Workspace, Account]:
    """A run that meets no fault and is not killed."""
    with open_play(folder, SCRIPT) as (workspace, provider):
        workspace.run()
        return workspace, audit(workspace, provider.read(), WANTED, None)


def test_kill_repeats_what_was_in_flight_changes_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    straight, account = play_straight(tmp_path / "straight")
    lay_database(tmp_path / "home")
    with open_play(tmp_path / "killed", SCRIPT) as (killed, provider):
        target = Command(killed, {"PREFECT_HOME": str(tmp_path / "home")})
        ending = run_through(target, provider, 1, CALLS, seed=1)
        entries = provider.read()
    [toll] = count_tolls(entries, ending.kills)

    assert ((), (), 0) == (account.broken, audit(killed, entries, WANTED, None).broken, ending.code)
    assert {} == killed.wait_for_no_process(60)
    assert toll.again <= CONCURRENCY
    assert [] == list_differences(*(workspace.list_sets()[0] for workspace in (straight, killed)))


def test_mixed_faults_lose_no_sample(tmp_path: Path) -> None:
    script = replace(SCRIPT, shares=SHARES, latency_seconds=0.0)
    with open_play(tmp_path, script, EXEMPLARS_CALL_TIMEOUT_SECONDS="1") as (workspace, provider):
        workspace.run()
        entries = provider.read()
    account = audit(workspace, entries, WANTED, None)

    assert ((), 0) == (account.broken, account.short)
    assert len({entry.fate for entry in entries}) > 5


def test_budget_is_never_passed(tmp_path: Path) -> None:
    _, straight = play_straight(tmp_path / "straight")
    limit = 0.8 * straight.spent_usd
    with open_play(tmp_path / "bound", SCRIPT, EXEMPLARS_MAX_COST_USD=f"{limit:.9f}") as (workspace, provider):
        with pytest.raises(BudgetError):
            workspace.run()
        account = audit(workspace, provider.read(), WANTED, limit)

    assert ((), 0) == (account.broken, account.kept_rows)
    assert account.billed > 0
