"""The book: every run of the long rounds with its account, and the tables that are printed of them."""

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chaos.checker import Account, audit
from chaos.faults import Script
from chaos.killer import Command, Ending, Target, Toll, count_tolls, kill_all, run_through
from chaos.ledger import Entry
from chaos.provider import ChaosProvider, serve_chaos
from fakes.workspace import Workspace, make_workspace

SEED = 1
CONCURRENCY = 32
SAID_CHARS = 220

Aim = Callable[[Workspace], Target]


@dataclass(frozen=True)
class Row:
    """One run: how it ended, and what the checker says of it; ``limit_usd`` is what it may have spent."""

    name: str
    ending: Ending
    entries: Sequence[Entry]
    tolls: Sequence[Toll]
    account: Account
    workspace: Workspace
    limit_usd: float | None

    @property
    def generating_seconds(self) -> float:
        """From the first call for a cell to the end of the last."""
        cells = [entry for entry in self.entries if entry.kind == "cell"]
        return max(entry.ended for entry in cells) - min(entry.begun for entry in cells) if cells else 0.0

    @property
    def said(self) -> str:
        """What the run complained of, in one line."""
        line = " ".join(self.ending.said.split())
        return line if len(line) <= SAID_CHARS else f"{line[:SAID_CHARS]}…"


@dataclass
class Book:
    """Where nothing else is said, runs are commands on the Prefect server of this address."""

    folder: Path
    prefect_url: str
    tables: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def play(
        self,
        name: str,
        wanted: int,
        script: Script,
        kills: int = 0,
        aim: Aim | None = None,
        variables: Mapping[str, str] = {},
        limit_usd: float | None = None,
    ) -> Row:
        """One run of a workspace of its own, with a provider of its own."""
        with self.open(script) as provider:
            workspace = self.make(wanted, provider, **variables)
            return self.run(name, wanted, workspace, provider, kills, aim, limit_usd)

    def open(self, script: Script) -> AbstractContextManager[ChaosProvider]:
        """A provider with a folder of its own."""
        return serve_chaos(self.folder / f"{next(self.numbers):03d}-provider", script)

    def make(self, wanted: int, provider: ChaosProvider, **variables: str) -> Workspace:
        """A workspace whose model is asked at the provider, with this quota for each trait and pole."""
        given = provider.variables | {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY)} | variables
        workspace = make_workspace(self.folder / f"{next(self.numbers):03d}-work", None, **given)
        workspace.write_effort(exemplars_per_pole=wanted, max_cost_usd=None)
        return workspace

    def run(
        self,
        name: str,
        wanted: int,
        workspace: Workspace,
        provider: ChaosProvider,
        kills: int = 0,
        aim: Aim | None = None,
        limit_usd: float | None = None,
    ) -> Row:
        """A run of a workspace, through so many kills, to its end."""
        target = aim(workspace) if aim else Command(workspace, {"PREFECT_API_URL": self.prefect_url})
        try:
            ending = run_through(target, provider, kills, 8 * wanted, SEED)
        finally:
            kill_all(workspace)
        entries = provider.read()
        tolls = count_tolls(entries, ending.kills)
        account = audit(workspace, entries, wanted, limit_usd)
        row = Row(name, ending, entries, tolls, account, workspace, limit_usd)
        print(f"{name}: exit {ending.code}, {account.calls} calls, {ending.seconds:.0f} s", file=sys.stderr, flush=True)
        self.rows.append(row)
        return row

    def add(self, title: str, head: Sequence[str], lines: Sequence[Sequence[object]], rows: Sequence[Row]) -> None:
        """Prints a table, and below it every invariant that is broken in its rows."""
        broken = [f"{row.name}: {sentence}" for row in rows for sentence in row.account.broken]
        text = [f"\n## {title}\n", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        text += [f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines]
        self.say(*text, "")
        for sentence in broken:
            self.accuse(sentence)

    def say(self, *lines: str) -> None:
        """Prints lines and keeps them."""
        print("\n".join(lines), flush=True)
        self.tables += lines

    def accuse(self, sentence: str) -> None:
        """Notes a broken invariant."""
        self.broken.append(sentence)
        self.say(f"BROKEN {sentence}")

    def write(self) -> Path:
        """Writes all of it as JSON, and the tables as Markdown beside it."""
        path = self.folder / "chaos.json"
        runs = [
            {
                "name": row.name,
                "ending": asdict(row.ending),
                "tolls": [asdict(toll) for toll in row.tolls],
                "account": asdict(row.account),
                "folder": str(row.workspace.folder),
            }
            for row in self.rows
        ]
        path.write_text(json.dumps({"runs": runs, "broken": self.broken}, indent=1))
        path.with_suffix(".md").write_text("\n".join(self.tables) + "\n")
        return path
