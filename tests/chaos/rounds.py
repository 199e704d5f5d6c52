"""The long rounds: kills, faults, budgets and outages of runs of hundreds of calls, and tables of what came of them.

``make chaos``, or some of them, as ``ROUNDS`` names them: ``PYTHONPATH=tests python -m chaos.rounds kills outages``.
A broken invariant is a line under its table, and exit code 1. All is kept in a temporary folder.
"""

import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.checker import Account, audit, list_differences
from chaos.faults import FAULTS, PASSING, Fault, Outage, Script
from chaos.killer import Command, Ending, Here, Installation, Target, Toll, count_tolls, run_through
from chaos.provider import ChaosProvider, Entry, serve_chaos
from fakes.postgres import share_databases
from fakes.shared import open_session
from fakes.site import open_site
from fakes.waiting import wait_until
from fakes.workspace import Workspace, kill_marked, make_workspace

from flows.serve import LEASES

SEED = 1
LATENCY_SECONDS, FAULT_LATENCY_SECONDS = 0.2, 0.5
# Else calls come and go in waves of as many as may be in flight.
SPREAD = 0.4
SHARE = 0.2
KILLS, INSTALLATION_KILLS = 20, 5
MIXED: Mapping[Fault, float] = dict.fromkeys(PASSING, SHARE / len(PASSING))
# What hangs or drips is given up after so long.
SLOW: frozenset[Fault] = frozenset({"hang", "drip"})
SOON = {"EXEMPLARS_CALL_TIMEOUT_SECONDS": "3"}
DOWN_SECONDS, PATIENCE_SECONDS, AWAY_SECONDS = 20.0, 8.0, 60.0
SAID_CHARS = 220


@dataclass(frozen=True)
class Row:
    """One run: how it ended, and what the checker says of it; ``limit_usd`` is what it may have spent."""

    name: str
    ending: Ending
    entries: Sequence[Entry]
    account: Account
    workspace: Workspace
    limit_usd: float | None

    def count_tolls(self, straight: "Row") -> list[Toll]:
        """What each kill cost, beside a run that nobody killed.

        Two cells may have one prompt, as where subject, reader and form come together a second time: what the other run
        asked twice is left out, since it says nothing of kills.
        """
        times = Counter(entry.sent for entry in straight.entries)
        return count_tolls([entry for entry in self.entries if times[entry.sent] < 2], self.ending.kills)

    @property
    def said(self) -> str:
        line = " ".join(self.ending.said.split())
        return line if len(line) <= SAID_CHARS else f"{line[:SAID_CHARS]}…"


@dataclass
class Book:
    """Every run with its account. Where nothing else is said, runs are commands on the Prefect server of this address,
    or in this process where there is none.

    Two traits, two poles, two cells for each exemplar: 1,000 and 480 cells in the first round of a run.
    """

    folder: Path
    prefect_url: str = ""
    large: int = 125
    medium: int = 60
    concurrency: int = 32
    rows: list[Row] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def play(
        self,
        name: str,
        wanted: int,
        script: Script,
        kills: int = 0,
        prefect: Mapping[str, str] | None = None,
        variables: Mapping[str, str] = {},
    ) -> Row:
        """One run of a workspace of its own, with a provider of its own."""
        with serve_chaos(script) as provider:
            workspace = self.make(wanted, provider, **variables)
            target = None if prefect is None else Command(workspace, {**prefect})
            return self.run(name, wanted, workspace, provider, kills, target)

    def make(self, wanted: int, provider: ChaosProvider, **variables: str) -> Workspace:
        """A workspace whose model is asked at the provider, with this quota for each trait and pole."""
        given = {"EXEMPLARS_CONCURRENCY": str(self.concurrency)} | variables
        workspace = make_workspace(self.folder / f"{next(self.numbers):03d}-work", provider, **given)
        workspace.write_effort(exemplars_per_pole=wanted, max_cost_usd=None)
        return workspace

    def run(
        self,
        name: str,
        wanted: int,
        workspace: Workspace,
        provider: ChaosProvider,
        kills: int = 0,
        target: Target | None = None,
        limit_usd: float | None = None,
    ) -> Row:
        """A run of a workspace, through so many kills, to its end."""
        server = {"PREFECT_API_URL": self.prefect_url}
        target = target or (Command(workspace, server) if self.prefect_url else Here(workspace))
        try:
            ending = run_through(target, provider, kills, 8 * wanted, SEED)
        finally:
            kill_marked(workspace.folder)
        entries = list(provider.entries)
        row = Row(name, ending, entries, audit(workspace, entries, wanted, limit_usd), workspace, limit_usd)
        print(f"{name}: exit {ending.code}, {row.account.calls} calls, {ending.seconds:.0f} s", file=sys.stderr)
        self.rows.append(row)
        return row

    def add(self, title: str, head: str, lines: Sequence[Sequence[object]], rows: Sequence[Row]) -> None:
        """Prints a table, and below it every invariant that is broken in its rows."""
        columns = head.split(",")
        print(f"\n## {title}\n", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", sep="\n")
        for line in lines:
            print(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |")
        print(flush=True)
        for row in rows:
            for sentence in row.account.broken:
                self.accuse(f"{row.name}: {sentence}")

    def accuse(self, sentence: str) -> None:
        self.broken.append(sentence)
        print(f"BROKEN {sentence}", flush=True)


def main(names: Sequence[str]) -> int:
    """Plays the rounds that are named, all where none is; 1 where an invariant is broken."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="exemplars-chaos-"))
    with open_session(), open_site(make_workspace(folder / "site")) as site:
        site.start_server()
        book = Book(folder, site.url)
        for name in names or list(ROUNDS):
            ROUNDS[name](book)
    seconds = time.monotonic() - begun
    print(f"\n{len(book.rows)} runs in {seconds:.0f} s, {len(book.broken)} invariants broken: {folder}")
    return 1 if book.broken else 0


def play_kills(book: Book, kills: int = KILLS, **variables: Callable[[], str]) -> None:
    """Many kills of a run of about 1,000 calls, beside one that nobody kills."""
    script = Script(latency_seconds=LATENCY_SECONDS, spread=SPREAD)
    straight, killed = ({name: make() for name, make in variables.items()} for _ in range(2))
    home = {"PREFECT_HOME": str(book.folder / "prefect")}
    rows = [
        book.play("straight", book.large, script, variables=straight),
        book.play("killed", book.large, script, kills, home, killed),
    ]
    title = f"The command killed, {book.concurrency} calls in flight"
    add_kills(book, f"{title}, replies in PostgreSQL" if variables else title, rows)


def play_postgresql(book: Book) -> None:
    """The same where the replies are kept in PostgreSQL."""
    play_kills(book, EXEMPLARS_REPLIES_URL=share_databases().make_database)


def play_installation(book: Book) -> None:
    """Server, worker and run killed together and started again: the same run and a new one in turn."""
    script = Script(latency_seconds=LATENCY_SECONDS, spread=SPREAD)
    straight = book.play("straight", book.large, script)
    with ExitStack() as stack:
        provider = stack.enter_context(serve_chaos(script))
        workspace = book.make(book.large, provider, PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=LEASES)
        site = stack.enter_context(open_site(workspace))
        killed = book.run("killed", book.large, workspace, provider, INSTALLATION_KILLS, Installation(site))
    add_kills(book, "Server, worker and run killed together", [straight, killed])


def play_faults(book: Book, faults: Sequence[Fault] = FAULTS) -> None:
    """Every fault alone, and all that pass mixed, beside a run without any."""
    clean = Script(latency_seconds=FAULT_LATENCY_SECONDS)
    scripts = {"none": clean} | {fault: replace(clean, shares={fault: SHARE}) for fault in faults}
    scripts |= {"mixed": replace(clean, shares=MIXED)}
    rows = [
        book.play(name, book.large, script, variables=SOON if SLOW & script.shares.keys() else {})
        for name, script in scripts.items()
    ]
    add_runs(book, f"Faults at {SHARE:.0%}: {8 * book.large} cells of {FAULT_LATENCY_SECONDS:g} s", rows)


def play_budgets(book: Book) -> None:
    """Limits on cost from one call's to none, with and without faults; what stopped goes on without a limit."""
    script = Script(latency_seconds=LATENCY_SECONDS, spread=SPREAD, cached=0.3)
    whole = book.play("no limit", book.medium, script)
    dearest, full = max(entry.cost_usd for entry in whole.entries), whole.account.spent_usd
    rows = [whole]
    for share in (dearest / full, 10 * dearest / full, 0.1, 0.5, 0.9, 1.0, 2.0, 10.0):
        rows += play_budget(book, f"{share:.4f}", share * full, script)
    for share in (0.1, 0.5, 10.0):
        rows += play_budget(book, f"{share:.4f}, mixed faults", share * full, replace(script, shares=MIXED), SOON)
    add_runs(book, "Budgets", rows)


def play_budget(
    book: Book, name: str, limit_usd: float, script: Script, variables: Mapping[str, str] = {}
) -> list[Row]:
    """A run with a limit, and where that stops it another one without."""
    with serve_chaos(script) as provider:
        free = book.make(book.medium, provider, **variables)
        bound = Workspace(free.folder, free.variables | {"EXEMPLARS_MAX_COST_USD": f"{limit_usd:.9f}"})
        rows = [book.run(name, book.medium, bound, provider, limit_usd=limit_usd)]
        if rows[0].ending.code:
            rows.append(book.run(f"{name}, then none", book.medium, free, provider))
    return rows


def play_outages(book: Book) -> None:
    """A provider that is away for a while, and one that stays away for longer than the run waits."""
    script = Script(latency_seconds=LATENCY_SECONDS)
    middle = 8 * book.medium // 3
    rows = [book.play("none", book.medium, script)]
    for how in ("refused", "503"):
        away = replace(script, outages=(Outage(middle, DOWN_SECONDS, how == "refused"),))
        rows.append(book.play(f"{DOWN_SECONDS:g} s, {how}", book.medium, away))
    for first in (1, middle):
        rows += _play_long_outage(book, first, replace(script, outages=(Outage(first, AWAY_SECONDS),)))
    add_runs(book, f"Outages; {PATIENCE_SECONDS:g} s of patience where it stays away", rows)


ROUNDS: Mapping[str, Callable[[Book], None]] = {
    "kills": play_kills,
    "postgresql": play_postgresql,
    "installation": play_installation,
    "faults": play_faults,
    "budgets": play_budgets,
    "outages": play_outages,
}


def _play_long_outage(book: Book, first: int, script: Script) -> list[Row]:
    """A run that gives up, and a second start when the provider is back."""
    name = f"stays away from call {first}"
    with serve_chaos(script) as provider:
        workspace = book.make(book.medium, provider, EXEMPLARS_PATIENCE_SECONDS=f"{PATIENCE_SECONDS:g}")
        rows = [book.run(name, book.medium, workspace, provider)]
        wait_until(provider.listens, 2 * AWAY_SECONDS, "the provider is back")
        rows.append(book.run(f"{name}, then back", book.medium, workspace, provider))
    return rows


def add_kills(book: Book, title: str, rows: Sequence[Row]) -> None:
    """The kills one by one, and whether the end is that of the run that nobody killed."""
    straight, killed = rows
    lines = []
    tolls = killed.count_tolls(straight)
    for number, (kill, toll) in enumerate(zip(killed.ending.kills, tolls, strict=True), start=1):
        before = sum(entry.ended <= kill.struck for entry in killed.entries)
        lines.append((number, before, toll.in_flight, toll.again, toll.paid_twice))
        if toll.again > book.concurrency:
            book.accuse(f"kill {number}: {toll.again} calls were asked again")
    book.add(title, "kill,after calls,in flight,asked again,paid twice", lines, ())
    add_runs(book, title, rows)
    made = [row.workspace.list_sets()[-1:] for row in rows]
    if not all(made):
        book.accuse("a run has ended without a set")
        return
    for difference in list_differences(*(folder for [folder] in made)):
        book.accuse(f"the killed run's rows differ from the other's: {difference}")


def add_runs(book: Book, title: str, rows: Sequence[Row]) -> None:
    head = "run,exit,seconds,calls,paid,limit USD,spent USD,attached,lacking,unkept,lost,rejected,said"
    lines = [
        (
            row.name,
            row.ending.code,
            f"{row.ending.seconds:.0f}",
            row.account.calls,
            row.account.billed,
            "" if row.limit_usd is None else f"{row.limit_usd:.6f}",
            f"{row.account.spent_usd:.6f}",
            row.account.kept_rows,
            row.account.short,
            row.account.unkept,
            row.account.lost,
            " ".join(f"{name} {count}" for name, count in list(row.account.rejected.items())[:4]),
            row.said,
        )
        for row in rows
    ]
    book.add(title, head, lines, rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
