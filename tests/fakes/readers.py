"""A store with sets of every kind, and the readers of other projects, each called as its own pages say.

The readers are imported where they read: each process that collects tests would take seconds for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from fakes.builders import make_exemplar, make_model, make_stamp
from fakes.stored import attach_set

from engine.backfills.ledger import Ledger, write_ledger
from engine.domain.model import Pool
from engine.domain.samples import make_row
from engine.report.dataset_card import render_card
from engine.store.changes import detach_set
from engine.store.layout import CARD, REPORT, VERDICT
from engine.store.store import StoredSet
from engine.text.language import Language

HANDLES = ("u22a8.manners", "u22a8.notes")
TRAIN_ROWS, EVAL_ROWS, REJECTED_ROWS = 4, 6, 20
COLUMNS = 19
# The folders ``handle=…``, ``pool=…`` and ``run=…`` become columns.
HIVE_COLUMNS = COLUMNS + 3
Read = Callable[[str], pd.DataFrame]


def fill_store(store: Path | str, handles: Sequence[str] = HANDLES) -> StoredSet:
    """Puts sets of some models into a store, of each one attached, one for evaluation, one rejected and one detached.

    All have more rejected rows than others, and there are ledgers of backfills. Returns the last model's attached set.
    """
    for handle in handles:
        detach_set(_put(store, "off", handle, 8))
        attach_set(store, f"failed-{handle}", 8, status="rejected", handle=handle, rejected=REJECTED_ROWS)
        _put(store, "held-out", handle, EVAL_ROWS, "eval")
        kept = _put(store, "kept", handle, TRAIN_ROWS)
    for number in range(REJECTED_ROWS):
        write_ledger(str(store), str(number), Ledger(()))
    return kept


def stay_offline(patch: pytest.MonkeyPatch, folder: Path) -> None:
    import datasets

    patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")


def read_datasets(place: str) -> pd.DataFrame:
    """All splits of a folder: the one split that there is."""
    import datasets

    [found] = datasets.load_dataset(place).values()
    frame: pd.DataFrame = found.to_pandas()
    return frame


def read_duckdb(place: str) -> pd.DataFrame:
    import duckdb

    with duckdb.connect() as connection:
        return connection.execute(f"SELECT * FROM '{place}/**/*.parquet'").df()


def read_polars(place: str) -> pd.DataFrame:
    """With the columns of the folders, which polars gives only where it is asked to."""
    import polars as pl

    frame = pl.read_parquet(f"{place}/**/*.parquet", hive_partitioning=True)
    return pd.DataFrame(frame.to_dict(as_series=False))


READERS: Mapping[str, Read] = {
    "pandas": pd.read_parquet,
    "pyarrow": lambda place: pq.read_table(place).to_pandas(),
    "pyarrow.dataset": lambda place: pyarrow.dataset.dataset(place, partitioning="hive").to_table().to_pandas(),
    "datasets": read_datasets,
    "duckdb": read_duckdb,
    "polars": read_polars,
}


def _put(store: Path | str, name: str, handle: str, count: int, pool: Pool = "train") -> StoredSet:
    stamp = replace(make_stamp(f"{name}-{handle}"), synth_type="enrich" if pool == "eval" else "from_traits")
    rows = [make_row(make_exemplar("One."), stamp, None)]
    model = replace(make_model(), handle=handle)
    card = render_card(model, stamp, rows, "openai/test", Language(), "Attached.")
    documents = {CARD: card, VERDICT: "{}\n", REPORT: "<html></html>\n"}
    return attach_set(store, stamp.run_id, count, pool=pool, handle=handle, rejected=REJECTED_ROWS, documents=documents)
