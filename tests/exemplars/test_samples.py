"""Samples as a data frame: all attached sets of a pool, with the store's columns, or none of them."""

from pathlib import Path

import pandas as pd
import pytest
from fakes.stored import HANDLE, attach_set, write_model

from engine.errors import InputError, StoreError, UnknownModelError
from engine.store.layout import SAMPLES
from engine.store.store import detach_set
from exemplars import load_samples

OTHER = "acme.other"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    write_model(tmp_path / "models")
    return tmp_path / "samples"


def test_all_attached_sets_of_the_pool_come_with_the_columns_of_the_store(store: Path) -> None:
    sets = [attach_set(store, run_id) for run_id in ("a", "b")]
    attach_set(store, "held", pool="eval")
    attach_set(store, "elsewhere", handle=OTHER)
    for status in ("rejected", "proposed"):
        attach_set(store, status, status=status)
    detach_set(attach_set(store, "off"))
    files = [pd.read_parquet(f"{stored.folder}/{SAMPLES}", partitioning=None) for stored in sets]

    pd.testing.assert_frame_equal(pd.concat(files, ignore_index=True), load_samples(HANDLE))
    assert ["held"] == list(load_samples(HANDLE, "eval")["run_id"].unique())


def test_nothing_attached_is_an_empty_frame_and_no_catalogue_is_needed(store: Path) -> None:
    empty = load_samples(HANDLE)
    attach_set(store, "a", handle=OTHER)

    pd.testing.assert_frame_equal(load_samples(OTHER).head(0), empty)
    assert 4 == len(load_samples(OTHER))


def test_what_cannot_be_loaded_is_named(store: Path) -> None:
    with pytest.raises(UnknownModelError, match=f"No model 'u22a8.tests'.* Did you mean {HANDLE}"):
        load_samples("u22a8.tests")
    with pytest.raises(InputError, match=r"'test' is not a pool\. There are: train and eval"):
        load_samples(HANDLE, "test")  # type: ignore[arg-type]
    Path(attach_set(store, "a").folder, SAMPLES).write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"The samples of run a, attached to u22a8\.test, cannot be read"):
        load_samples(HANDLE)
