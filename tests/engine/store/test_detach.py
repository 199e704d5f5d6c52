"""A detached set is seen by no reader of samples, and keeps all that it was."""

import json
from pathlib import Path

import pandas as pd
import pytest
from fakes.stored import HANDLE, attach_set, name_faults, read_files, write_model

from engine.domain.model import Pool
from engine.errors import DefinitionError, FrozenModelError, InputError
from engine.listing.attached import count_attached
from engine.store.changes import detach_set, find_detachable
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.store import list_sets

NO_MODELS = "/nonexistent"


def detach(store: Path, run_id: str, models: Path | str = NO_MODELS) -> Path:
    stored = find_detachable(str(models), str(store), run_id)
    detach_set(stored)
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
    assert 4 == count_attached(str(store), HANDLE)["clarity"].sample_count
    assert before.pop(SAMPLES) == after.pop(DETACHED)
    then, now = (json.loads(files.pop(MANIFEST)) for files in (before, after))
    assert before == after
    changed = {"status", "files", "manifest_sha256"}
    assert changed == {name for name in now if now[name] != then[name]}
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
