"""Readers of other projects get exemplars and nothing else, of a whole store and of one set, on a disk and on S3."""

from pathlib import Path
from typing import Any

import datasets
import pytest
from fakes.readers import (
    COLUMNS,
    EVAL_ROWS,
    HANDLES,
    HIVE_COLUMNS,
    READERS,
    REMOTE_READERS,
    TRAIN_ROWS,
    fill_store,
    stay_offline,
)
from fakes.stored import attach_set

from engine.store.layout import SAMPLES
from engine.system.filesystem import list_below, open_folder

STORE_ROWS = len(HANDLES) * (TRAIN_ROWS + EVAL_ROWS)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stay_offline(monkeypatch, tmp_path)


def count_columns(reader: str, is_whole: bool) -> int:
    """What the folders' names add: for one set only to readers that look at the whole path."""
    if reader == "datasets":
        return COLUMNS
    return HIVE_COLUMNS if is_whole or reader in ("duckdb", "polars") else COLUMNS


@pytest.mark.parametrize("reader", READERS)
def test_reader_gets_exemplars_and_nothing_else(tmp_path: Path, reader: str) -> None:
    one = fill_store(tmp_path / "samples").folder
    whole, own = READERS[reader](str(tmp_path / "samples")), READERS[reader](one)

    assert (STORE_ROWS, count_columns(reader, True)) == whole.shape
    assert (TRAIN_ROWS, count_columns(reader, False)) == own.shape
    assert not whole["text"].str.contains("refused|failed|off").any()


@pytest.mark.slow
@pytest.mark.parametrize("reader", REMOTE_READERS)
def test_reader_of_s3_gets_exemplars_and_nothing_else(
    s3_uri: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Offline ``datasets`` asks no server at all.
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    one = fill_store(s3_uri).folder
    whole, own = READERS[reader](s3_uri), READERS[reader](one)

    assert (STORE_ROWS, count_columns(reader, True)) == whole.shape
    assert (TRAIN_ROWS, count_columns(reader, False)) == own.shape
    assert not whole["text"].str.contains("refused|failed|off").any()


def test_nothing_but_samples_ends_in_parquet_or_lies_beside_them(tmp_path: Path) -> None:
    fill_store(tmp_path)
    infos = list_below(*open_folder(str(tmp_path)), recursive=True)
    files = [Path(info.path) for info in infos if info.is_file]

    assert {SAMPLES} == {path.name for path in files if path.suffix == ".parquet"}
    assert {"__run__"} == {
        path.parent.name for path in files if path.name != SAMPLES and "__backfills__" not in path.parts
    }


@pytest.mark.parametrize("pool", ["train", "eval"])
def test_card_loads_where_it_lies(tmp_path: Path, pool: Any) -> None:
    fill_store(tmp_path)
    run_id = f"{'kept' if pool == 'train' else 'held-out'}-{HANDLES[0]}"
    found = datasets.load_dataset(f"{tmp_path}/handle={HANDLES[0]}/pool={pool}/run={run_id}/__run__")

    assert (
        {"train": TRAIN_ROWS}
        if pool == "train"
        else {"test": EVAL_ROWS} == {name: split.num_rows for name, split in found.items()}
    )


def test_lines_of_the_card_load_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = (Path(fill_store(tmp_path).folder) / "__run__/README.md").read_text()
    monkeypatch.chdir(tmp_path)
    blocks = [part.partition("```")[0] for part in card.split("```python\n")[1:]]
    loaded = []
    for block in blocks:
        found: dict[str, Any] = {}
        exec(compile(block, "README.md", "exec"), found)
        loaded.append(len(found["samples"]))

    assert [TRAIN_ROWS, TRAIN_ROWS] == loaded


def test_datasets_takes_a_word_of_a_handle_for_a_split_where_it_is_left_to_guess(tmp_path: Path) -> None:
    """So the README's lines name the files."""
    for handle in ("u22a8.test-notes", "u22a8.notes"):
        attach_set(tmp_path, handle, handle=handle)

    assert {"test": 4} == {name: split.num_rows for name, split in datasets.load_dataset(str(tmp_path)).items()}
