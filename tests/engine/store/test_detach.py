"""A detached set is seen by no reader of samples, keeps all that it was, and may come back by its own run alone."""

import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fakes.stored import HANDLE, attach_set, write_lines, write_model
from fakes.workspace import mount_disk

from engine.definitions.loader import load_outline
from engine.domain.model import Pool
from engine.errors import DefinitionError, FrozenModelError, InputError
from engine.listing.attached import count_attached
from engine.listing.page import Page
from engine.listing.samples import count_samples, list_samples
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.store import detach_set, find_detachable, find_set, list_sets
from engine.store.verify import StoreVerifier

NO_MODELS = "/nonexistent"


def detach(store: Path, run_id: str, models: Path | str = NO_MODELS) -> Path:
    stored = find_detachable(str(models), str(store), run_id)
    detach_set(stored)
    return Path(stored.folder)


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pool", ["train", "eval"])
def test_detached_set_is_seen_by_no_reader_and_keeps_what_it_was(tmp_path: Path, pool: Pool) -> None:
    store = tmp_path / "samples"
    attach_set(store, "stays")
    before = read_all(Path(attach_set(store, "goes", pool=pool).folder))
    folder = detach(store, "goes")
    after = read_all(folder)

    assert {"stays": 4} == dict(pd.read_parquet(store)["run_id"].value_counts())
    query = f"SELECT DISTINCT run_id FROM read_parquet('{store}/**/samples.parquet')"
    with duckdb.connect() as connection:
        assert [("stays",)] == connection.execute(query).fetchall()
    assert [] == [stored.run_id for stored in list_sets(str(store), HANDLE, pool) if stored.run_id == "goes"]
    assert 4 == count_attached(str(store), HANDLE)["clarity"].sample_count
    assert before.pop(SAMPLES) == after.pop(DETACHED)
    then, now = (json.loads(files.pop(MANIFEST)) for files in (before, after))
    assert before == after
    changed = {"status", "files", "manifest_sha256"}
    assert changed == {name for name in now if now[name] != then[name]}
    assert ("detached", then["files"][SAMPLES]) == (now["status"], now["files"][DETACHED])
    assert [] == list(StoreVerifier(str(store)).find_faults())
    assert [store] == list(tmp_path.iterdir())


def test_pages_go_on_behind_a_set_that_is_detached(tmp_path: Path) -> None:
    models, store = tmp_path / "models", tmp_path / "samples"
    write_model(models, ("s.jsonl", write_lines({"content": "One.", "clarity": 1})))
    outline = load_outline(str(models), HANDLE)

    def read_page(position: object = None, limit: int = 100) -> Page:
        return list_samples(str(models), str(store), outline, None, position, limit)  # type: ignore[arg-type]

    for run_id in ("a", "b", "c"):
        attach_set(store, run_id)
    within = read_page(limit=6)
    detach(store, "b", models)

    assert ["c 0", "c 1", "c 2", "c 3"] == [sample.text for sample in read_page(within.next_position).samples]
    assert not {"b 0", "b 1"} & {sample.text for sample in read_page().samples}
    assert 9 == count_samples(str(models), str(store), outline)["clarity"].sample_count


def test_run_that_is_written_again_attaches_its_set_again(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "a")
    detach(store, "a")

    assert attach_set(store, "a").written
    assert ["a"] == [stored.run_id for stored in list_sets(str(store), HANDLE, "train")]
    assert [] == list(StoreVerifier(str(store)).find_faults())


@pytest.mark.parametrize("run_id", ["nowhere", "", "a/../run=a"])
def test_unknown_run_is_bad_input(tmp_path: Path, run_id: str) -> None:
    attach_set(tmp_path / "samples", "a")
    with pytest.raises(InputError, match=r"has no set of run .* EXEMPLARS_SAMPLES_URI"):
        detach(tmp_path / "samples", run_id)


def test_set_that_is_not_attached_has_nothing_to_detach(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "failed", status="rejected")
    with pytest.raises(InputError, match=r"is rejected: none of its samples is attached"):
        detach(store, "failed")
    attach_set(store, "a")
    stored = find_detachable(NO_MODELS, str(store), "a")
    detach(store, "a")
    with pytest.raises(InputError, match=r"is detached: none of its samples is attached"):
        detach(store, "a")
    with pytest.raises(InputError, match="another process has detached it"):
        detach_set(stored)


@pytest.mark.parametrize("state", ["ready", "archived", "busy"])
def test_trained_model_keeps_its_samples_but_not_its_pool_for_evaluation(tmp_path: Path, state: str) -> None:
    models, store = tmp_path / "models", tmp_path / "samples"
    lifecycle = write_model(models) / "lifecycle.json"
    lifecycle.write_text(json.dumps({"state": state}))
    attach_set(store, "a")
    attach_set(store, "held-out", pool="eval")
    with pytest.raises(FrozenModelError, match=f"'{state}', not a draft .* stays attached"):
        detach(store, "a", models)
    lifecycle.write_text("{")
    with pytest.raises(DefinitionError, match=r"lifecycle\.json"):
        detach(store, "a", models)
    detach(store, "held-out", models)
    lifecycle.write_text('{"state": "failed"}')
    detach(store, "a", models)

    assert [] == list_sets(str(store), HANDLE, "train")


def test_store_that_is_a_mount_of_its_own_detaches_too(tmp_path: Path) -> None:
    with mount_disk(tmp_path / "samples", "size=4m") as store:
        attach_set(store, "a")
        folder = detach(store, "a")

        assert 4 == pq.read_metadata(folder / DETACHED).num_rows
        found = find_set(str(store), "a")
        assert found is not None
        assert "detached" == found.status
        assert ["handle=u22a8.test"] == [path.name for path in store.iterdir()]
