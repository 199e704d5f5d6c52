"""The checker and the killer's arithmetic: each invariant that is broken is named, and none that holds."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from chaos.checker import audit, list_differences
from chaos.killer import Kill, Toll, count_tolls
from chaos.provider import ANSWERED, GONE, Entry
from fakes.reply_tables import place_in
from fakes.workspace import TRAITS, Workspace, make_workspace

from engine.domain.model import POLES
from engine.llm.client.request import Reply
from engine.llm.replies.replies import ReplyStore
from engine.store.layout import MANIFEST, REJECTED, SAMPLES

PLACES = [(trait, pole) for trait in TRAITS for pole in POLES]


def make_entry(number: int, fate: str = ANSWERED, **fields: Any) -> Entry:
    prompt, text = f"prompt {number}", hashlib.sha256(f"text {number}".encode()).hexdigest()
    billed = fate == ANSWERED
    entry = Entry(number, number + 0.5, prompt, prompt, "cell", 1, fate, billed, 0.001 * billed, text if billed else "")
    return replace(entry, **fields)


def write_set(workspace: Workspace, run_id: str, kept: Sequence[int], rejected: Sequence[int] = ()) -> Path:
    """A set with a row for each call, of the places in turn."""
    folder = workspace.samples / f"run={run_id}"
    (folder / "__run__").mkdir(parents=True)
    columns = ["id", "trait", "pole", "prompt_sha256", "reason", "run_id", "created_at"]
    for name, numbers in ((SAMPLES, kept), (REJECTED, rejected)):
        rows = [(number, *PLACES[number % 4], f"prompt {number}", "surplus", "any", 0) for number in numbers]
        pd.DataFrame(rows, columns=columns).to_parquet(folder / name)
    (folder / MANIFEST).write_text(json.dumps({"status": "attached", "created_at": run_id}))
    return folder


def keep(workspace: Workspace, numbers: range, lost: int = 0) -> None:
    """Keeps the replies of calls; so many others have begun and are never heard of again."""

    async def write() -> None:
        with ReplyStore(place_in(workspace.folder / "cache"), "plan") as kept:
            for number in numbers:
                reply = Reply(f"text {number}", "stop", cost_usd=0.001)
                await kept.keep(f"key {number}", reply, await kept.begin(0.002))
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


SIX = list(map(make_entry, range(6)))
IN_OTHER_WORDS = make_entry(6, digest="prompt 5, whatever the words", sent="prompt 5, whatever the words")
FIRST = make_entry(5, digest=IN_OTHER_WORDS.digest)


@pytest.mark.parametrize(
    ("entries", "lost", "limit_usd", "broken"),
    [
        ([*SIX, make_entry(6, "limited"), make_entry(7, GONE)], 0, 0.006, []),
        ([*SIX, make_entry(0)], 1, None, []),
        (
            [*SIX, make_entry(0)],
            0,
            None,
            ["1 paid replies are not kept, 0 calls are on", "$0.007000 is spent, $0.006000"],
        ),
        ([*SIX, make_entry(6), make_entry(7, kind="vote")], 2, None, ["1 paid replies to cells are in no row"]),
        ([*SIX[:5], FIRST, IN_OTHER_WORDS], 1, None, []),
        (SIX, 0, 0.0059, ["$0.006000 is spent, the limit was $0.0059"]),
    ],
)
def test_what_is_paid_is_kept_used_and_within_the_limit(
    workspace: Workspace, entries: list[Entry], lost: int, limit_usd: float | None, broken: list[str]
) -> None:
    keep(workspace, range(0), lost)
    account = audit(workspace, entries, wanted=1, limit_usd=limit_usd)

    assert broken == [sentence[: len(said)] for sentence, said in zip(account.broken, broken, strict=True)]
    assert (len(entries), 4, 0, {"surplus": 2}) == (account.calls, account.kept_rows, account.short, account.rejected)


def test_set_is_attached_once_and_exactly_and_nothing_lies_about(workspace: Workspace) -> None:
    [short] = audit(workspace, [], 2).broken
    write_set(workspace, "2", [0, 1, 2, 3])
    twice = audit(workspace, [], 1).broken
    (workspace.samples / "run=3").mkdir()
    (workspace.samples / "run=3" / SAMPLES).touch()
    left = workspace.samples.parent / f".{workspace.samples.name}-staging-4"
    left.mkdir()

    assert short.startswith("attached with {('clarity', 'negative'): 1, ")
    assert {"2 sets are attached", "a sample is attached twice"} < set(twice)
    assert {"3 files of samples for 2 attached sets", f"left behind: {left.name}"} == {
        *audit(workspace, [], 1).broken
    } - set(twice)


def test_sets_differ_by_more_than_their_names(workspace: Workspace) -> None:
    first, same, other = (write_set(workspace, str(5 + number), kept) for number, kept in enumerate(([0], [0], [2])))

    assert [] == list_differences(first, same)
    assert ["samples"] == [difference.split(":")[0] for difference in list_differences(first, other)]


def test_tolls_tell_what_was_in_flight_from_what_was_paid_twice() -> None:
    before = [make_entry(1), make_entry(2), make_entry(3, GONE), make_entry(4, GONE)]
    after = [make_entry(10, sent="prompt 2"), make_entry(11, sent="prompt 3"), make_entry(12)]
    kills = [Kill(struck=3.2, dead=5.0), Kill(struck=20.0, dead=21.0)]

    assert [Toll(in_flight=2, again=2, paid_twice=1), Toll(0, 0, 0)] == count_tolls([*before, *after], kills)
