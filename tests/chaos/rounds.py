"""The long rounds: kills, faults, budgets and outages of runs of hundreds of calls, and tables of what came of them.

``make chaos``, or some of them, as ``ROUNDS`` names them: ``PYTHONPATH=tests python -m chaos.rounds kills outages``.
A broken invariant is a line under its table, and exit code 1. All is kept in a temporary folder.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from chaos.book import CONCURRENCY, Book, Row
from chaos.checker import list_differences
from chaos.faults import FAULTS, PASSING, Fault, Outage, Script
from chaos.killer import Command, Installation
from fakes.postgres import open_postgres
from fakes.site import open_site
from fakes.waiting import wait_until
from fakes.workspace import Workspace, make_workspace

from flows.serve import LEASES

LATENCY_SECONDS, FAULT_LATENCY_SECONDS = 0.2, 0.5
# Else calls come and go in waves of as many as may be in flight.
SPREAD = 0.4
SHARE = 0.2
# Two traits, two poles, two cells for each exemplar: 1,000 and 480 cells in the first round.
LARGE, MEDIUM = 125, 60
KILLS, INSTALLATION_KILLS = 20, 5
MIXED: Mapping[Fault, float] = dict.fromkeys(PASSING, SHARE / len(PASSING))
# What hangs or drips is given up after so long.
SLOW: frozenset[Fault] = frozenset({"hang", "drip"})
SOON = {"EXEMPLARS_CALL_TIMEOUT_SECONDS": "3"}
DOWN_SECONDS, PATIENCE_SECONDS, AWAY_SECONDS = 20.0, 8.0, 60.0


def main(names: Sequence[str]) -> int:
    """Plays the rounds that are named, all where none is; 1 where an invariant is broken."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="exemplars-chaos-"))
    with open_site(make_workspace(folder / "site")) as site:
        site.start_server()
        book = Book(folder, site.url)
        for name in names or list(ROUNDS):
            ROUNDS[name](book)
    seconds = time.monotonic() - begun
    book.say(f"\n{len(book.rows)} runs in {seconds:.0f} s, {len(book.broken)} invariants broken: {book.write()}")
    return 1 if book.broken else 0


def play_kills(book: Book) -> None:
    """Many kills of a run of about 1,000 calls, beside one that nobody kills."""
    _play_kills(book, f"The command killed, {CONCURRENCY} calls in flight", dict)


def play_postgresql(book: Book) -> None:
    """The same where the replies are kept in PostgreSQL."""
    with open_postgres() as server:
        title = f"The command killed, {CONCURRENCY} calls in flight, replies in PostgreSQL"
        _play_kills(book, title, lambda: {"EXEMPLARS_REPLIES_URL": server.make_database()})


def play_installation(book: Book) -> None:
    """Server, worker and run killed together and started again: the same run and a new one in turn."""
    script = Script(latency_seconds=LATENCY_SECONDS, spread=SPREAD)
    straight = book.play("straight", LARGE, script)
    with book.open(script) as provider:
        workspace = book.make(LARGE, provider, PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=LEASES)
        with open_site(workspace) as site:
            killed = book.run("killed", LARGE, workspace, provider, INSTALLATION_KILLS, lambda _: Installation(site))
    _add_kills(book, "Server, worker and run killed together", [straight, killed])


def play_faults(book: Book) -> None:
    """Every fault alone, and all that pass mixed, beside a run without any."""
    clean = Script(latency_seconds=FAULT_LATENCY_SECONDS)
    scripts = {"none": clean} | {fault: replace(clean, shares={fault: SHARE}) for fault in FAULTS}
    scripts |= {"mixed": replace(clean, shares=MIXED), "none, again": clean}
    rows = [
        book.play(name, LARGE, script, variables=SOON if SLOW & script.shares.keys() else {})
        for name, script in scripts.items()
    ]
    title = f"Faults at {SHARE:.0%}: {8 * LARGE} cells of {FAULT_LATENCY_SECONDS:g} s, {CONCURRENCY} in flight"
    _add_runs(book, title, rows)


def play_budgets(book: Book) -> None:
    """Limits on cost from one call's to none, with and without faults; what stopped goes on without a limit."""
    script = Script(latency_seconds=LATENCY_SECONDS, spread=SPREAD, cached=0.3)
    whole = book.play("no limit", MEDIUM, script)
    dearest = max(entry.cost_usd for entry in whole.entries)
    full = whole.account.spent_usd
    shares = (dearest / full, 10 * dearest / full, 0.1, 0.5, 0.9, 1.0, 2.0, 10.0)
    rows = [whole]
    for share in shares:
        rows += _play_budget(book, f"{share:.4f}", share * full, script)
    for share in (0.1, 0.5, 10.0):
        rows += _play_budget(book, f"{share:.4f}, mixed faults", share * full, replace(script, shares=MIXED), SOON)
    _add_budgets(book, rows)


def play_outages(book: Book) -> None:
    """A provider that is away for a while, and one that stays away for longer than the run waits."""
    script = Script(latency_seconds=LATENCY_SECONDS)
    middle = 8 * MEDIUM // 3
    away = {how: Outage(middle, DOWN_SECONDS, how == "refused") for how in ("refused", "503")}
    rows = [book.play("none", MEDIUM, script)]
    for how, outage in away.items():
        rows.append(book.play(f"{DOWN_SECONDS:g} s, {how}", MEDIUM, replace(script, outages=(outage,))))
    for first in (1, middle):
        rows += _play_long_outage(book, first, replace(script, outages=(Outage(first, AWAY_SECONDS),)))
    _add_runs(book, f"Outages; {PATIENCE_SECONDS:g} s of patience where it stays away", rows)


ROUNDS: Mapping[str, Callable[[Book], None]] = {
    "kills": play_kills,
    "postgresql": play_postgresql,
    "installation": play_installation,
    "faults": play_faults,
    "budgets": play_budgets,
    "outages": play_outages,
}


def _play_kills(book: Book, title: str, choose_variables: Callable[[], Mapping[str, str]]) -> None:
    prefect = {"PREFECT_HOME": str(book.folder / "prefect")}
    script = Script(latency_seconds=LATENCY_SECONDS, spread=SPREAD)
    rows = [
        book.play("killed", LARGE, script, kills, lambda made: Command(made, prefect), choose_variables())
        for kills in (0, KILLS)
    ]
    _add_kills(book, title, rows)


def _play_budget(
    book: Book, name: str, limit_usd: float, script: Script, variables: Mapping[str, str] = {}
) -> list[Row]:
    with book.open(script) as provider:
        free = book.make(MEDIUM, provider, **variables)
        bound = Workspace(free.folder, free.variables | {"EXEMPLARS_MAX_COST_USD": f"{limit_usd:.9f}"})
        rows = [book.run(name, MEDIUM, bound, provider, limit_usd=limit_usd)]
        if rows[0].ending.code:
            rows.append(book.run(f"{name}, then none", MEDIUM, free, provider))
    return rows


def _play_long_outage(book: Book, first: int, script: Script) -> list[Row]:
    """A run that gives up, and a second start when the provider is back."""
    name = f"stays away from call {first}"
    with book.open(script) as provider:
        workspace = book.make(MEDIUM, provider, EXEMPLARS_PATIENCE_SECONDS=f"{PATIENCE_SECONDS:g}")
        rows = [book.run(name, MEDIUM, workspace, provider)]
        wait_until(provider.listens, 2 * AWAY_SECONDS, "the provider is back")
        rows.append(book.run(f"{name}, then back", MEDIUM, workspace, provider))
    return rows


def _add_kills(book: Book, title: str, rows: Sequence[Row]) -> None:
    """The kills one by one, and whether the end is that of the run that nobody killed."""
    killed = rows[-1]
    head = ("kill", "after calls", "in flight", "asked again", "paid twice")
    lines = [
        (
            number,
            sum(entry.ended <= kill.struck for entry in killed.entries),
            toll.in_flight,
            toll.again,
            toll.paid_twice,
        )
        for number, (kill, toll) in enumerate(zip(killed.ending.kills, killed.tolls, strict=True), start=1)
    ]
    book.add(title, head, lines, rows)
    for row in rows:
        book.say(
            f"{row.name}: exit {row.ending.code}, {row.account.calls} calls, {row.account.billed} paid, "
            f"{row.account.kept_rows} attached, {row.account.unkept} unkept, {row.account.lost} on record as lost, "
            f"{row.ending.seconds:.0f} s. {row.said}"
        )
    for number, toll in enumerate(killed.tolls, start=1):
        if toll.again > CONCURRENCY or toll.paid_twice > CONCURRENCY:
            book.accuse(f"kill {number}: {toll.again} calls were asked again")
    for difference in list_differences(*(row.workspace.list_sets()[-1] for row in rows)):
        book.accuse(f"the killed run's rows differ from the other's: {difference}")


def _add_runs(book: Book, title: str, rows: Sequence[Row]) -> None:
    """Runs beside the first of them, which met no fault."""
    clean = rows[0]
    columns = "fault,exit,time ×,calls,calls ×,paid,lacking,cell_failed,unkept,lost,rejected,said"
    lines = [
        (
            row.name,
            row.ending.code,
            f"{row.generating_seconds / clean.generating_seconds:.2f}",
            row.account.calls,
            f"{row.account.calls / clean.account.calls:.2f}",
            row.account.billed,
            row.account.short,
            row.account.rejected.get("cell_failed", 0),
            row.account.unkept,
            row.account.lost,
            " ".join(f"{name} {count}" for name, count in list(row.account.rejected.items())[:4]),
            row.said,
        )
        for row in rows
    ]
    book.add(title, columns.split(","), lines, rows)


def _add_budgets(book: Book, rows: Sequence[Row]) -> None:
    columns = "limit / whole,limit USD,spent USD,spent / limit,calls,unkept,lost,exit,attached,said"
    lines = [
        (
            row.name,
            "none" if row.limit_usd is None else f"{row.limit_usd:.6f}",
            f"{row.account.spent_usd:.6f}",
            "" if row.limit_usd is None else f"{row.account.spent_usd / row.limit_usd:.3f}",
            row.account.calls,
            row.account.unkept,
            row.account.lost,
            row.ending.code,
            row.account.kept_rows,
            row.said,
        )
        for row in rows
    ]
    book.add(f"Budgets, {CONCURRENCY} in flight", columns.split(","), lines, rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
