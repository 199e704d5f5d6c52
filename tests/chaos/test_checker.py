"""The checker and the killer's arithmetic: each invariant that is broken is named, and none that holds."""

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from chaos.checker import audit, list_differences
from chaos.killer import Kill, Toll, count_tolls
from chaos.ledger import ANSWERED, GONE, Entry
from fakes.workspace import TRAITS, Workspace, make_workspace

from engine.domain.model import POLES
from engine.llm.request import Reply
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace
from engine.store.layout import MANIFEST, REJECTED, SAMPLES

PLACES = [(trait, pole) for trait in TRAITS for pole in POLES]


def make_entry(number: int, fate: str = ANSWERED, **fields: Any) -> Entry:
    text = hashlib.sha256(f"text {number}".encode()).hexdigest()
    billed = fate == ANSWERED
    prompt = f"prompt {number}"
    entry = Entry(number, number, number + 0.5, prompt, prompt, "cell", 1, fate, billed, cost_usd=0.001 * billed)
    return replace(entry, **{"text_sha256": text if billed else "", **fields})


def make_rows(numbers: list[int]) -> pd.DataFrame:
    """A row for each call, of the places in turn."""
    rows = [(number, *PLACES[number % 4], f"prompt {number}", "surplus", "any", 0) for number in numbers]
    columns = ["id", "trait", "pole", "prompt_sha256", "reason", "run_id", "created_at"]
    return pd.DataFrame(rows, columns=columns)


def write_set(workspace: Workspace, run_id: str, kept: list[int], rejected: list[int]) -> Path:
    folder = workspace.samples / f"run={run_id}"
    (folder / "__run__").mkdir(parents=True)
    make_rows(kept).to_parquet(folder / SAMPLES)
    make_rows(rejected).to_parquet(folder / REJECTED)
    (folder / MANIFEST).write_text(json.dumps({"status": "attached", "created_at": run_id}))
    return folder


def keep(workspace: Workspace, numbers: range, lost: int = 0) -> None:
    """Keeps the replies of calls; so many others have begun and are never heard of again."""

    async def write() -> None:
        with ReplyStore(RepliesPlace(str(workspace.folder / "cache")), "plan") as kept:
            for number in numbers:
                await kept.keep(f"key {number}", Reply(f"text {number}", "stop", cost_usd=0.001))
            for _ in range(lost):
                await kept.begin(0.002)

    asyncio.run(write())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Four kept rows, one of each place, two rejected ones, and the six replies that they came of."""
    made = make_workspace(tmp_path)
    write_set(made, "1", [0, 1, 2, 3], [4, 5])
    keep(made, range(6))
    return made


def test_run_in_which_all_is_well_breaks_nothing(workspace: Workspace) -> None:
    entries = [*map(make_entry, range(6)), make_entry(6, "limited"), make_entry(7, GONE)]
    account = audit(workspace, entries, wanted=1, limit_usd=0.006)

    assert () == account.broken
    assert (8, 6, 4, 0) == (account.calls, account.billed, account.kept_rows, account.short)
    assert {"surplus": 2} == account.rejected


def test_paid_reply_that_is_not_kept_has_to_be_on_record(workspace: Workspace) -> None:
    entries = [*map(make_entry, range(6)), make_entry(0)]
    broken = audit(workspace, entries, 1).broken
    keep(workspace, range(0), lost=1)

    assert (
        "1 paid replies are not kept, 0 calls are on record as lost",
        "$0.007000 is spent, $0.006000 is on record",
    ) == broken
    assert () == audit(workspace, entries, 1).broken


def test_paid_reply_has_a_row_or_was_asked_for_once_more_in_other_words(workspace: Workspace) -> None:
    keep(workspace, range(6, 8))
    first = make_entry(6, digest="prompt 5, whatever the words", sent="prompt 5, whatever the words")
    entries = list(map(make_entry, range(5)))
    unused = [*entries, *map(make_entry, range(5, 7)), make_entry(7, kind="vote")]

    assert ("1 paid replies to cells are in no row",) == audit(workspace, unused, 1).broken
    assert () == audit(workspace, [*entries, make_entry(5, digest=first.digest), first], 1).broken


def test_set_is_attached_once_and_exactly_within_the_limit_and_nothing_lies_about(workspace: Workspace) -> None:
    entries = list(map(make_entry, range(6)))
    [short] = audit(workspace, [], 2).broken
    write_set(workspace, "2", [0, 1, 2, 3], [])
    twice = audit(workspace, [], 1).broken
    (workspace.samples / "run=3").mkdir()
    (workspace.samples / "run=3" / SAMPLES).touch()
    (workspace.samples.parent / f".{workspace.samples.name}-staging-4").mkdir()

    assert short.startswith("attached with {('clarity', 'negative'): 1, ")
    assert {"2 sets are attached", "a sample is attached twice"} < set(twice)
    assert {
        "3 files of samples for 2 attached sets",
        f"left behind: .{workspace.samples.name}-staging-4",
        "$0.006000 is spent, the limit was $0.0059",
    } == set(audit(workspace, entries, 1, limit_usd=0.0059).broken) - set(twice)


def test_sets_differ_by_more_than_their_names(workspace: Workspace) -> None:
    first, same, other = (
        write_set(workspace, run_id, kept, []) for run_id, kept in {"5": [0, 1], "6": [0, 1], "7": [0, 2]}.items()
    )

    assert [] == list_differences(first, same)
    assert ["samples"] == [difference.split(":")[0] for difference in list_differences(first, other)]


def test_tolls_tell_what_was_in_flight_from_what_was_paid_twice() -> None:
    before = [make_entry(1), make_entry(2), make_entry(3, GONE), make_entry(4, GONE)]
    after = [make_entry(10, sent="prompt 2"), make_entry(11, sent="prompt 3"), make_entry(12)]
    kills = [Kill(struck=3.2, dead=5.0), Kill(struck=20.0, dead=21.0)]

    assert [Toll(in_flight=2, again=2, paid_twice=1), Toll(0, 0, 0)] == count_tolls([*before, *after], kills)
