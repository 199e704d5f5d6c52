"""What a person has accepted one by one in reviews, and which of it counts in later runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fakes.builders import make_exemplar, make_model, make_stamp, make_trait

from engine.domain.model import Pool, Seed
from engine.domain.samples import Row, make_row, make_sample_table
from engine.planning.plan import digest_definition
from engine.run.job import read_pools
from engine.store.layout import DECISIONS_FILE, PROPOSED
from engine.store.removal import remove_stored
from engine.store.sample_set import SampleSet, Status, write_parquet
from engine.store.set_versions import Removal
from engine.store.store import detach_stored, list_sets, write_set

HANDLE = make_stamp().handle
MODEL = make_model(make_trait("clarity"), handle=HANDLE)
TEXTS = ("Press the button.", "Wait a minute.", "We send you a mail.", "Ring the bell.")


def attach_reviewed(
    store: Path,
    said: Mapping[int, str],
    run_id: str = "run",
    texts: Sequence[str] = TEXTS,
    status: Status = "attached",
    pool: Pool = "train",
) -> list[Row]:
    """A set of positive texts whose review said that of some of them, by their numbers; its rows."""
    stamp = replace(make_stamp(run_id), handle=HANDLE)
    rows = [make_row(make_exemplar(text, "positive", n, "clarity"), stamp, None) for n, text in enumerate(texts)]
    ids = {name: sorted(rows[n]["id"] for n, word in said.items() if word == name) for name in ("refuse", "other_pole")}
    lines = [
        f'{{"sample_id": {rows[n]["id"]}, "said": "{word}", "key": "k", "at": "{datetime.now(UTC).isoformat()}"}}\n'
        for n, word in said.items()
    ]
    review = {"left_out": ids["refuse"], "other_pole": ids["other_pole"], "why": "", "proposal": {}}
    carried = {
        PROPOSED: write_parquet(make_sample_table(rows)),
        DECISIONS_FILE: "".join(lines).encode(),
    }
    kept = [row for n, row in enumerate(rows) if said.get(n) not in ("refuse", "other_pole")]
    write_set(str(store), SampleSet(stamp, pool, status, "plan", kept, [], {}, {}, {}, review=review, carried=carried))
    return rows


def read(store: Path, teach: bool = True) -> dict[str, float]:
    found = read_pools(str(store), MODEL, None, teach).reviewed
    return {seed.text: seed.quality for seed in found}


def test_accepted_text_counts_at_its_pole_and_one_of_the_other_pole_there(tmp_path: Path) -> None:
    attach_reviewed(tmp_path, {0: "accept", 1: "refuse", 2: "other_pole"})

    assert {TEXTS[0]: 1.0, TEXTS[2]: 0.0} == read(tmp_path)
    assert {} == read(tmp_path, teach=False)


def test_detached_held_out_and_rejected_sets_teach_nothing(tmp_path: Path) -> None:
    attach_reviewed(tmp_path, {0: "accept"}, "a")
    [first] = list_sets(str(tmp_path), HANDLE, "train")
    detach_stored(first)
    attach_reviewed(tmp_path, {1: "accept"}, "b", pool="eval")
    attach_reviewed(tmp_path, {2: "accept"}, "c", status="rejected")

    assert {} == read(tmp_path)


def test_removed_text_teaches_no_more(tmp_path: Path) -> None:
    rows = attach_reviewed(tmp_path, {0: "accept", 3: "accept"})
    [stored] = list_sets(str(tmp_path), HANDLE, "train")
    remove_stored(stored, Removal((rows[0]["id"],), datetime.now(UTC)))

    assert {TEXTS[3]: 1.0} == read(tmp_path)


def test_examples_are_the_seeds_and_then_what_was_accepted_which_changes_no_definition() -> None:
    seeds = (Seed("clarity", "authored", 1.0), Seed("clarity", "between", 0.5))
    plain = replace(MODEL, seeds=seeds)
    model = replace(plain, reviewed=(Seed("clarity", "accepted", 1.0), Seed("clarity", "other", 0.0)))

    assert ["authored", "accepted"] == [seed.text for seed in model.draw_examples_at("clarity", "positive")]
    assert ["authored"] == [seed.text for seed in model.seeds_at("clarity", "positive")]
    assert ["other"] == [seed.text for seed in model.examples_at("clarity", "negative")]
    assert digest_definition(plain) == digest_definition(model)
