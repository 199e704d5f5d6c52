"""The checker: what must hold when a run is over, whatever happened to it, by the ledger, the cache and the store."""

import hashlib
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from chaos.killer import Toll
from chaos.ledger import Entry
from fakes.workspace import TRAITS, Workspace, count_poles, read_kept, read_manifest, read_rejected

from engine.model import POLES
from engine.sample_set import SAMPLES

# What two runs of one plan may differ in.
OWN = ["run_id", "created_at"]
# A price is a product of floats, and the ledger sums in another order than the run.
ROUNDING_USD = 1e-9


@dataclass(frozen=True, slots=True)
class Account:
    """What became of what was paid for.

    ``unkept``: billed replies beyond those that are kept, in number; ``unused``: billed calls for a cell that no row
    came of; ``broken``: a sentence for each invariant that does not hold.
    """

    calls: int
    billed: int
    spent_usd: float
    unkept: int
    unused: int
    kept_rows: int
    rejected: Mapping[str, int]
    short: int
    broken: tuple[str, ...]


def audit(
    workspace: Workspace,
    entries: Sequence[Entry],
    wanted: int,
    tolls: Sequence[Toll] = (),
    limit_usd: float | None = None,
) -> Account:
    """The account of a workspace in which one run has ended, started again or not.

    Args:
        wanted: the quota of each trait and pole.
        tolls: what the kills cost: so many replies may be paid for and not kept.
    """
    sets = workspace.list_sets()
    attached = [folder for folder in sets if read_manifest(folder)["status"] == "attached"]
    kept = pd.concat([read_kept(folder) for folder in attached]) if attached else pd.DataFrame()
    rejected = [read_rejected(folder) for folder in sets]
    reasons = Counter(reason for frame in rejected for reason in frame["reason"])
    rows = {digest for frame in (kept, *rejected) if len(frame) for digest in frame["prompt_sha256"].dropna()}
    billed = [entry for entry in entries if entry.billed]
    unkept = Counter(entry.text_sha256 for entry in billed) - list_kept_texts(workspace)
    unused = [entry.digest for entry in billed if entry.kind == "cell" and sets and entry.digest not in rows]
    counts = count_poles(kept) if attached else {}
    spent_usd = sum(entry.cost_usd for entry in entries)
    account = Account(
        calls=len(entries),
        billed=len(billed),
        spent_usd=spent_usd,
        unkept=unkept.total(),
        unused=len(unused),
        kept_rows=len(kept),
        rejected=dict(reasons.most_common()),
        short=sum(max(0, wanted - counts.get((trait, pole), 0)) for trait in TRAITS for pole in POLES),
        broken=(),
    )
    broken = [
        *_check_paid(account, sum(toll.paid_twice for toll in tolls)),
        *_check_store(workspace, attached, kept, counts, wanted),
        *_check_budget(spent_usd, limit_usd),
    ]
    return Account(**{name: getattr(account, name) for name in account.__slots__} | {"broken": tuple(broken)})


def list_kept_texts(workspace: Workspace) -> Counter[str]:
    """The SHA-256 of the texts of all kept replies, with how often each is kept."""
    found: Counter[str] = Counter()
    for path in (workspace.folder / "cache").glob("**/replies.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            replies = [json.loads(row[0]) for row in connection.execute("SELECT reply FROM replies")]
        found.update(hashlib.sha256(reply["text"].encode()).hexdigest() for reply in replies)
    return found


def list_differences(one: Path, other: Path) -> list[str]:
    """In what the rows of two sets differ, beyond what names their runs."""
    differences = []
    for name, read in (("samples", read_kept), ("rejected", read_rejected)):
        first, second = (read(folder).drop(columns=OWN) for folder in (one, other))
        try:
            pd.testing.assert_frame_equal(first, second)
        except AssertionError as error:
            differences.append(f"{name}: {str(error).splitlines()[0]}")
    return differences


def replay(workspace: Workspace, run_id: str) -> str:
    """What the command says of a set that it makes again from the kept replies: which files are the same bytes."""
    code = "import sys; from flows.cli import main; sys.exit(main(['replay', *sys.argv[1:]]))"
    said, complaint = workspace.start(run_id, program=(sys.executable, "-c", code)).communicate()
    return (said + complaint).strip()


def _check_paid(account: Account, paid_twice: int) -> list[str]:
    broken = []
    if account.unkept > paid_twice:
        broken.append(f"{account.unkept} paid replies are not kept, {paid_twice} were on their way at a kill")
    if account.unused:
        broken.append(f"{account.unused} paid replies to cells are in no row")
    return broken


def _check_store(
    workspace: Workspace,
    attached: Sequence[Path],
    kept: pd.DataFrame,
    counts: dict[tuple[str, str], int],
    wanted: int,
) -> list[str]:
    files = [path for path in workspace.list_files() if path.name == SAMPLES]
    quotas = {(trait, pole): wanted for trait in TRAITS for pole in sorted(POLES)}
    broken = []
    if len(attached) > 1:
        broken.append(f"{len(attached)} sets are attached")
    if len(files) != len(attached):
        broken.append(f"{len(files)} files of samples for {len(attached)} attached sets")
    if attached and counts != quotas:
        broken.append(f"attached with {counts}, wanted {wanted} of each")
    if attached and kept["id"].duplicated().any():
        broken.append("a sample is attached twice")
    if left := [path.name for path in workspace.list_files() if path.name.startswith(".")]:
        broken.append(f"left behind: {', '.join(left)}")
    return broken


def _check_budget(spent_usd: float, limit_usd: float | None) -> list[str]:
    if limit_usd is None or spent_usd <= limit_usd + ROUNDING_USD:
        return []
    return [f"${spent_usd:.6f} is spent, the limit was ${limit_usd:g}"]
