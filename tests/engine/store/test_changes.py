"""What is detached is seen by no reader of samples and keeps all that it was; what loses samples loses nothing else."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fakes.store_writers import find
from fakes.stored import HANDLE, TOMORROW, attach_set, name_faults, read_files, write_model

from engine.definitions.loader import load_outline
from engine.domain.model import Pool
from engine.domain.samples import make_id
from engine.errors import DefinitionError, FrozenModelError, InputError, StoreError
from engine.listing.locations import find_in_model, list_touched
from engine.listing.samples import FIRST, Page, Position, count_attached, list_samples
from engine.store.changes import Removal, detach_set, find_detachable, remove_stored
from engine.store.existing import read_existing
from engine.store.garbage import collect_garbage
from engine.store.index.rows import read_attached
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.store import StoredSet, digest_sets, list_sets

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NO_MODELS = "/nonexistent"


def detach(store: Path, run_id: str, models: Path | str = NO_MODELS) -> Path:
    stored = find_detachable(str(models), str(store), run_id)
    detach_set(stored, "me")
    return Path(stored.folder)


@pytest.mark.parametrize("pool", ["train", "eval"])
def test_detached_set_is_seen_by_no_reader_keeps_what_it_was_and_stays_detached(tmp_path: Path, pool: Pool) -> None:
    store = tmp_path / "samples"
    attach_set(store, "stays")
    before = read_files(Path(attach_set(store, "goes", pool=pool).folder))
    folder = detach(store, "goes")
    after = read_files(folder)

    assert {"stays": 4} == dict(pd.read_parquet(store)["run_id"].value_counts())
    assert "goes" not in [stored.run_id for stored in list_sets(str(store), HANDLE, pool)]
    assert 4 == count_attached(str(store), HANDLE).total()
    assert before.pop(SAMPLES) == after.pop(DETACHED)
    then, now = (json.loads(files.pop(MANIFEST)) for files in (before, after))
    assert before == after
    changed = {"status", "files", "detached", "manifest_sha256"}
    assert changed == {name for name in now if now[name] != then.get(name)}
    assert ("me", UTC) == (now["detached"]["who"], datetime.fromisoformat(now["detached"]["when"]).tzinfo)
    assert ("detached", then["files"][SAMPLES]) == (now["status"], now["files"][DETACHED])
    assert [store] == list(tmp_path.iterdir())
    assert not attach_set(store, "goes", pool=pool).written
    assert after == {name: content for name, content in read_files(folder).items() if name not in (MANIFEST, DETACHED)}
    assert [] == name_faults(store)


def test_run_that_is_unknown_or_has_no_attached_set_is_bad_input(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "failed", status="rejected")
    attach_set(store, "a")
    for run_id in ("nowhere", "", "a/../run=a"):
        with pytest.raises(InputError, match=r"has no set of run .* EXEMPLARS_SAMPLES_URI"):
            detach(store, run_id)
    with pytest.raises(InputError, match=r"is rejected: none of its samples is attached"):
        detach(store, "failed")
    stored = find_detachable(NO_MODELS, str(store), "a")
    detach(store, "a")
    with pytest.raises(InputError, match=r"is detached: none of its samples is attached"):
        detach(store, "a")
    with pytest.raises(InputError, match="another process has detached it"):
        detach_set(stored)


def test_trained_model_keeps_its_samples_but_not_its_pool_for_evaluation(tmp_path: Path) -> None:
    models, store = tmp_path / "models", tmp_path / "samples"
    lifecycle = write_model(models) / "lifecycle.json"
    attach_set(store, "a")
    attach_set(store, "held-out", pool="eval")
    for state in ("ready", "archived", "busy"):
        lifecycle.write_text(json.dumps({"state": state}))
        with pytest.raises(FrozenModelError, match=f"'{state}', not a draft .* Nothing was detached"):
            detach(store, "a", models)
    lifecycle.write_text("{")
    with pytest.raises(DefinitionError, match=r"lifecycle\.json"):
        detach(store, "a", models)
    detach(store, "held-out", models)
    lifecycle.write_text('{"state": "failed"}')
    detach(store, "a", models)

    assert [] == list_sets(str(store), HANDLE, "train")


def list_ids(stored: StoredSet) -> list[int]:
    ids: list[int] = pq.read_table(stored.file(stored.rows_name), columns=["id"])["id"].to_pylist()
    return ids


def remove(store: Path | str, run_id: str, *rows: int, why: str = "") -> StoredSet:
    """Removes the rows that a set has at some places now."""
    stored = find(store, run_id)
    ids = list_ids(stored)
    remove_stored(stored, Removal(tuple(ids[row] for row in rows), NOW, why, "me"))
    return find(store, run_id)


def test_set_is_the_same_byte_for_byte_but_for_the_rows_that_went(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "a", 6, traits=("clarity", "safety"), rejected=2, documents={"__run__/report.html": "page"})
    before = read_files(find(store, "a").folder)
    ids = list_ids(find(store, "a"))
    after = read_files(remove(store, "a", 1, 4, why="dull").folder)

    rows = pq.read_table(Path(find(store, "a").folder, SAMPLES)).to_pylist()
    assert [f"a {number}" for number in (0, 2, 3, 5)] == [row["text"] for row in rows]
    assert {SAMPLES, MANIFEST} == {name for name in after if after[name] != before[name]}
    then, now = json.loads(before[MANIFEST]), json.loads(after[MANIFEST])
    assert {"clarity": {"positive": 2, "negative": 0}, "safety": {"positive": 0, "negative": 2}} == now["counts"]
    changed = {"counts", "rows_sha256", "files", "removals", "manifest_sha256"}
    assert changed == {name for name in now if now[name] != then.get(name)}
    said = {"when": NOW.isoformat(), "why": "dull", "who": "me"}
    gone = pq.read_table(io.BytesIO(before[SAMPLES])).to_pylist()
    # What says where it came from stays known, and no more: ten thousand of them are read with each manifest.
    known = ("id", "trait", "pole", "text", "prompt_sha256")
    expected = [{name: gone[row][name] for name in known} | said | {"row": row} for row in (1, 4)]
    assert expected == now["removals"]
    assert [ids[1], ids[4]] == [entry["id"] for entry in expected]
    assert [] == name_faults(store)
    assert [store] == list(tmp_path.iterdir())


def test_rows_keep_the_numbers_that_they_had_when_the_set_was_attached(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "a", 6)
    first = list_ids(find(store, "a"))
    remove(store, "a", 0, 3)
    stored = remove(store, "a", 1, 3)

    assert [0, 3, 2, 5] == [entry["row"] for entry in stored.manifest["removals"]]
    assert [first[1], first[4]] == list_ids(stored)
    assert [] == name_faults(store)
    # What was removed does not come back: not by another removal, nor with its run.
    remove_stored(stored, Removal((first[0],), NOW))
    assert not attach_set(store, "a", 6).written
    assert stored == find(store, "a")
    detach_set(stored)
    with pytest.raises(InputError, match="no longer attached"):
        remove_stored(stored, Removal((first[1],), NOW))
    assert not attach_set(store, "a", 6).written
    assert () == read_attached(list_sets(str(store), HANDLE, "train"))


@pytest.mark.parametrize("finish", ["sweep", "removal"])
def test_removal_whose_manifest_never_came_is_no_damage_and_is_finished_by_whoever_comes_next(
    tmp_path: Path, finish: str
) -> None:
    store = tmp_path / "samples"
    attach_set(store, "a", 6)
    before = find(store, "a")
    other, manifest = list_ids(before)[3], Path(before.file(MANIFEST)).read_bytes()
    remove(store, "a", 1, why="dull")
    Path(before.file(MANIFEST)).write_bytes(manifest)
    os.utime(before.file(MANIFEST), (0, 0))

    assert [] == name_faults(store)
    existing = read_existing(str(store), HANDLE)
    assert 5 == len(existing.attached)
    if finish == "sweep":
        [said] = collect_garbage(str(store), HANDLE, TOMORROW)
        assert "completed an unfinished removal of samples" in said
    else:
        remove_stored(before, Removal((other,), NOW))
    stored = find(store, "a")
    assert [1, *([] if finish == "sweep" else [3])] == [entry["row"] for entry in stored.manifest["removals"]]
    assert "dull" == stored.manifest["removals"][0]["why"]
    assert () == collect_garbage(str(store), HANDLE, TOMORROW)
    assert [] == name_faults(store)


def test_set_that_is_empty_is_still_attached_and_reads_well(tmp_path: Path) -> None:
    """Detached instead, the next run would be planned as the first one was, and its kept replies bring all back."""
    store = tmp_path / "samples"
    attach_set(store, "a", 2)
    stored = remove(store, "a", 0, 1)

    assert ("attached", []) == (stored.status, list(pd.read_parquet(store)["text"]))
    assert 0 == count_attached(str(store), HANDLE).total()
    assert 0 == len(read_existing(str(store), HANDLE).attached)
    assert 1 == len(digest_sets(list_sets(str(store), HANDLE, "train")))
    assert [] == name_faults(store)
    attach_set(store, "b", 2)
    existing = read_existing(str(store), HANDLE)
    assert ["b 0", "b 1"] == [sample.text for sample in existing.attached]


def test_wanted_samples_are_found_where_they_are_or_were(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "a")
    attach_set(store, "b")
    attach_set(store, "held", pool="eval")
    attach_set(store, "failed", status="rejected")
    ids = {run_id: list_ids(find(store, run_id)) for run_id in ("a", "b", "held")}
    gone = ids["a"][0]
    remove(store, "a", 0)
    models = str(write_model(tmp_path / "models").parent)
    found = find_in_model(models, str(store), HANDLE, [gone, ids["a"][1], ids["b"][3], ids["held"][0], -1, 2**70])
    [held] = find_in_model(models, str(store), HANDLE, ids["held"][:1], ("train", "eval"))

    assert {("removed", "a", gone), ("attached", "a", ids["a"][1]), ("attached", "b", ids["b"][3])} == {
        (place.state, place.stored.run_id, place.number) for place in found if place.stored
    }
    assert (3, {"a", "b"}) == (len(found), {stored.run_id for stored in list_touched(found)})
    assert (ids["held"][0], True) == (held.number, held.is_removable)


def test_altered_set_is_refused_and_stays(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    path = Path(attach_set(store, "a").folder, SAMPLES)
    before = path.read_bytes()
    for content in (before[:-5] + bytes([before[-5] ^ 1]) + before[-4:], None):
        path.write_bytes(content) if content else path.unlink()
        with pytest.raises(StoreError, match="altered or damaged since they were written"):
            remove_stored(find(store, "a"), Removal((make_id(HANDLE, "clarity", "a 0"),), NOW))
        assert "removals" not in find(store, "a").manifest
        path.write_bytes(before)


@pytest.mark.parametrize("limit", [1, 5, 6, 7, 17])
def test_cursor_and_set_keep_their_places_whatever_is_removed(tmp_path: Path, limit: int) -> None:
    models, store = tmp_path / "models", tmp_path / "samples"
    write_model(models)
    for run_id in "abc":
        attach_set(store, run_id, 6)

    def read(position: Position = FIRST, limit: int = 100) -> Page:
        return list_samples(str(models), str(store), load_outline(str(models), HANDLE), None, position, limit)

    places = [(item.manifest["attached_ns"], item.run_id) for item in list_sets(str(store), HANDLE, "train")]
    behind = read(limit=limit).next_position or FIRST
    rest = [sample.text for sample in read(behind).samples]
    for run_id in "abc":
        remove(store, run_id, 0, 3)
    remove(store, "b", 0, 1, 2, 3)
    gone = {f"{run_id} {number}" for run_id in "abc" for number in range(6) if run_id == "b" or number in (0, 3)}

    assert [text for text in rest if text not in gone] == [sample.text for sample in read(behind).samples]
    assert places == [(item.manifest["attached_ns"], item.run_id) for item in list_sets(str(store), HANDLE, "train")]
    assert {("clarity", "positive"): 4, ("clarity", "negative"): 4} == count_attached(str(store), HANDLE)
