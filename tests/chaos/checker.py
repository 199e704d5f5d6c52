"""The checker: what must hold when a run is over, whatever happened to it, by the ledger, the cache and the store."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from chaos.provider import Entry
from fakes.reply_tables import place_in, run_sql
from fakes.workspace import TRAITS, Workspace, count_poles, read_kept, read_manifest, read_rejected
from pydantic import SecretStr

from engine.domain.model import POLES
from engine.llm.replies.admin import list_cache
from engine.llm.replies.replies import ReplyStore
from engine.settings import DatabaseUrl
from engine.store.layout import SAMPLES

BatchAccount = tuple[str, str]
# What two runs of one plan may differ in.
OWN = ["run_id", "created_at"]
# A price is a product of floats, and the ledger sums in another order than the run.
ROUNDING_USD = 1e-9


@dataclass(frozen=True, slots=True)
class Account:
    """What became of what was paid for.

    ``unkept``: billed replies beyond those that are kept; ``lost``: calls that are on record as begun, and of which no
    more is known; ``reckoned_usd``: what the record says that was spent at most, so never less than ``spent_usd``;
    ``unused``: billed calls for a cell that no row came of; ``short``: samples lacking, of all traits and poles;
    ``broken``: a sentence for each invariant that does not hold.
    """

    calls: int
    billed: int
    spent_usd: float
    unkept: int
    lost: int
    reckoned_usd: float
    unused: int
    kept_rows: int
    rejected: Mapping[str, int]
    short: int
    broken: tuple[str, ...]


def audit(workspace: Workspace, entries: Sequence[Entry], wanted: int, limit_usd: float | None = None) -> Account:
    """The account of a workspace in which one run has ended, started again or not.

    Args:
        wanted: the quota of each trait and pole.
    """
    sets = workspace.list_sets()
    attached = [folder for folder in sets if read_manifest(folder)["status"] == "attached"]
    kept = pd.concat([read_kept(folder) for folder in attached]) if attached else pd.DataFrame()
    rejected = [read_rejected(folder) for folder in sets]
    rows = {digest for frame in (kept, *rejected) if len(frame) for digest in frame["prompt_sha256"].dropna()}
    billed = [entry for entry in entries if entry.billed]
    counts = count_poles(kept) if attached else {}
    lost, reckoned_usd = read_record(workspace)
    account = Account(
        calls=len(entries),
        billed=len(billed),
        spent_usd=math.fsum(entry.cost_usd for entry in entries),
        unkept=(Counter(entry.text_sha256 for entry in billed) - list_kept_texts(workspace)).total(),
        lost=lost,
        reckoned_usd=reckoned_usd,
        unused=_count_unused(billed, rows) if sets else 0,
        kept_rows=len(kept),
        rejected=dict(Counter(reason for frame in rejected for reason in frame["reason"]).most_common()),
        short=sum(max(0, wanted - counts.get((trait, pole), 0)) for trait in TRAITS for pole in POLES),
        broken=(),
    )
    in_store = _check_store(workspace, attached, kept, counts, wanted)
    return replace(account, broken=(*_check_paid(account, limit_usd), *in_store))


def list_kept_texts(workspace: Workspace) -> Counter[str]:
    """The SHA-256 of the texts of all kept replies, with how often each is kept."""
    if not list_cache(find_account(workspace)):
        return Counter()
    rows = run_sql(find_account(workspace), "SELECT reply FROM exemplars_replies")
    return Counter(hashlib.sha256(json.loads(reply)["text"].encode()).hexdigest() for [reply] in rows)


def read_record(workspace: Workspace) -> tuple[int, float]:
    """The calls that were lost, and what all calls cost at most, as the kept replies have it."""
    calls, costs = 0, []
    for plan in list_cache(find_account(workspace)):
        with ReplyStore(find_account(workspace), plan.plan_id) as kept:
            calls += kept.lost.calls
            costs += [kept.kept_usd, kept.lost.ceiling_usd]
    return calls, math.fsum(costs)


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


def _count_unused(billed: Sequence[Entry], rows: set[str]) -> int:
    """A reply that is no use may be asked for once more, in other words: its row is that of the second one."""
    used = {entry.digest for entry in billed if {entry.digest, entry.sent} & rows}
    return sum(entry.kind == "cell" and entry.digest not in used for entry in billed)


def find_account(workspace: Workspace) -> DatabaseUrl:
    """The database that a workspace's runs keep their replies in."""
    url = workspace.variables.get("EXEMPLARS_REPLIES_URL")
    return SecretStr(url) if url else place_in(workspace.variables["EXEMPLARS_CACHE_DIR"])


def _check_paid(account: Account, limit_usd: float | None) -> list[str]:
    spent = f"${account.spent_usd:.6f} is spent"
    broken = {
        f"{account.unkept} paid replies are not kept, {account.lost} calls are on record as lost": account.unkept
        > account.lost,
        f"{spent}, ${account.reckoned_usd:.6f} is on record": account.spent_usd > account.reckoned_usd + ROUNDING_USD,
        f"{account.unused} paid replies to cells are in no row": account.unused > 0,
        f"{spent}, the limit was ${limit_usd or 0:g}": limit_usd is not None
        and account.spent_usd > limit_usd + ROUNDING_USD,
    }
    return [sentence for sentence, is_broken in broken.items() if is_broken]


def _check_store(
    workspace: Workspace, attached: Sequence[Path], kept: pd.DataFrame, counts: Mapping[BatchAccount, int], wanted: int
) -> list[str]:
    names = [path.name for path in workspace.list_files()]
    left = [name for name in names if name.startswith(".")]
    quotas = {(trait, pole): wanted for trait in TRAITS for pole in POLES}
    broken = {
        f"{len(attached)} sets are attached": len(attached) > 1,
        f"{names.count(SAMPLES)} files of samples for {len(attached)} attached sets": names.count(SAMPLES)
        != len(attached),
        f"attached with {counts}, wanted {wanted} of each": attached and counts != quotas,
        "a sample is attached twice": attached and kept["id"].duplicated().any(),
        f"left behind: {', '.join(left)}": left,
    }
    return [sentence for sentence, is_broken in broken.items() if is_broken]
