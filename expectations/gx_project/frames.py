"""Lays out the frames that are more than one file: folders that pandas reads whole, with links into the sample store.

A folder named ``origin=…`` or ``side=…`` becomes a column, so a frame has the columns that the gate's own has, and what
is attached later is in it by itself. The authored samples are a file beside the links, as they are now.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.model import Pool, Seed
from engine.store.store import locate_pool
from expectations.gx_project.contents import StoredModel

AUTHORED = "authored.parquet"
AUTHORED_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("trait", "text", "scenario", "provenance")] + [("quality", pa.float64())]
)


def write_frames(data: Path, samples_uri: str, item: StoredModel) -> None:
    """Writes the frames of a model: its pools, each as the gate's ``whole`` sees it, and both as ``held_out`` does.

    Args:
        data: the folder of all frames.
        samples_uri: the absolute path of the store.
    """
    folder = data / item.handle
    seeds, authored = (item.model.seeds, item.model.authored) if item.model else ((), ())
    for pool, sets in item.sets.items():
        if sets:
            _write_side(folder / pool, samples_uri, item.handle, pool, seeds if pool == "train" else ())
    if item.sets["eval"]:
        sides: tuple[tuple[Pool, Sequence[Seed]], ...] = (("train", authored), ("eval", ()))
        for pool, own in sides:
            _write_side(folder / "sides" / f"side={pool}", samples_uri, item.handle, pool, own)


def _write_side(folder: Path, samples_uri: str, handle: str, pool: Pool, authored: Sequence[Seed]) -> None:
    folder.mkdir(parents=True)
    stored = Path(locate_pool(samples_uri, handle, pool))
    if stored.is_dir():
        (folder / "origin=attached").symlink_to(stored, target_is_directory=True)
    if authored:
        (folder / "origin=authored").mkdir()
        rows = [
            {"trait": seed.trait, "text": seed.text, "quality": seed.quality, "provenance": "authored"}
            for seed in authored
        ]
        pq.write_table(pa.Table.from_pylist(rows, AUTHORED_SCHEMA), folder / "origin=authored" / AUTHORED)
