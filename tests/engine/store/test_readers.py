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

from engine.store.layout import SAMPLES

STORE_ROWS = len(HANDLES) * (TRAIN_ROWS + EVAL_ROWS)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stay_offline(monkeypatch, tmp_path)


def count_columns(reader: str, is_whole: bool) -> int:
    """What the folders' names add: for one set only to readers that look at the whole path."""
    if reader == "datasets":
        return COLUMNS
    return HIVE_COLUMNS if is_whole or reader in ("duckdb", "polars") else COLUMNS


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A store of each kind of set, which no test changes, and one of its sets."""
    store = tmp_path_factory.mktemp("filled")
    return str(store), fill_store(store).folder


def check_reader(reader: str, store: str, one: str) -> None:
    whole, own = READERS[reader](store), READERS[reader](one)

    assert (STORE_ROWS, count_columns(reader, True)) == whole.shape
    assert (TRAIN_ROWS, count_columns(reader, False)) == own.shape
    assert not whole["text"].str.contains("refused|failed|off").any()


@pytest.mark.parametrize("reader", READERS)
def test_reader_gets_exemplars_and_nothing_else(filled: tuple[str, str], reader: str) -> None:
    check_reader(reader, *filled)


@pytest.mark.slow
def test_readers_of_s3_get_exemplars_and_nothing_else(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Offline ``datasets`` asks no server at all.
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    one = fill_store(s3_uri).folder
    for reader in REMOTE_READERS:
        check_reader(reader, s3_uri, one)


def test_nothing_but_samples_ends_in_parquet_or_lies_beside_them(filled: tuple[str, str]) -> None:
    files = [path for path in Path(filled[0]).rglob("*") if path.is_file()]

    assert {SAMPLES} == {path.name for path in files if path.suffix == ".parquet"}
    assert {"__run__"} == {
        path.parent.name for path in files if path.name != SAMPLES and "__backfills__" not in path.parts
    }


@pytest.mark.parametrize(
    ("run_id", "pool", "split", "rows"),
    [("kept", "train", "train", TRAIN_ROWS), ("held-out", "eval", "test", EVAL_ROWS)],
)
def test_card_loads_where_it_lies(filled: tuple[str, str], run_id: str, pool: str, split: str, rows: int) -> None:
    folder = f"{filled[0]}/handle={HANDLES[0]}/pool={pool}/run={run_id}-{HANDLES[0]}/__run__"

    assert {split: rows} == {name: found.num_rows for name, found in datasets.load_dataset(folder).items()}


def test_lines_of_the_card_load_the_set(filled: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    card = (Path(filled[1]) / "__run__/README.md").read_text()
    monkeypatch.chdir(filled[0])
    loaded = []
    for block in (part.partition("```")[0] for part in card.split("```python\n")[1:]):
        found: dict[str, Any] = {}
        exec(compile(block, "README.md", "exec"), found)
        loaded.append(len(found["samples"]))

    assert [TRAIN_ROWS, TRAIN_ROWS] == loaded
