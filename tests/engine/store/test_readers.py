"""Readers of other projects get exemplars and nothing else, of a whole store and of one set."""

from pathlib import Path
from typing import Any

import pytest
from fakes.readers import (
    COLUMNS,
    EVAL_ROWS,
    HANDLES,
    HIVE_COLUMNS,
    READERS,
    TRAIN_ROWS,
    fill_store,
    stay_offline,
)

STORE_ROWS = len(HANDLES) * (TRAIN_ROWS + EVAL_ROWS)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stay_offline(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A store of each kind of set, which no test changes, and one of its sets."""
    store = tmp_path_factory.mktemp("filled")
    return str(store), fill_store(store).folder


@pytest.mark.parametrize("reader", READERS)
def test_reader_gets_exemplars_and_nothing_else(filled: tuple[str, str], reader: str) -> None:
    """The folders' names add columns: for one set only to readers that look at the whole path."""
    store, one = filled
    whole, own = READERS[reader](store), READERS[reader](one)

    assert (STORE_ROWS, COLUMNS if reader == "datasets" else HIVE_COLUMNS) == whole.shape
    assert (TRAIN_ROWS, HIVE_COLUMNS if reader in ("duckdb", "polars") else COLUMNS) == own.shape
    assert not whole["text"].str.contains("refused|failed|off").any()


def test_card_loads_where_it_lies_and_its_lines_load_the_set(
    filled: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    rows: dict[str, int] = {}
    for pool, run_id in (("train", "kept"), ("eval", "held-out")):
        folder = f"{filled[0]}/handle={HANDLES[0]}/pool={pool}/run={run_id}-{HANDLES[0]}/__run__"
        rows |= {split: found.num_rows for split, found in datasets.load_dataset(folder).items()}
    assert {"train": TRAIN_ROWS, "test": EVAL_ROWS} == rows

    monkeypatch.chdir(filled[0])
    _, *blocks = (Path(filled[1]) / "__run__/README.md").read_text().split("```python\n")
    assert 2 == len(blocks)
    for block in blocks:
        found: dict[str, Any] = {}
        exec(compile(block.partition("```")[0], "README.md", "exec"), found)
        assert TRAIN_ROWS == len(found["samples"])
