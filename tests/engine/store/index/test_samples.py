"""Hashes of stored texts are used as they lie in the set, whatever was removed from it since."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.stored import HANDLE

from engine.domain.samples import make_row
from engine.errors import StoreError
from engine.store.changes import Removal, remove_stored
from engine.store.index.samples import open_samples
from engine.store.index.search import find_nearest
from engine.store.layout import HASHES, SAMPLES
from engine.store.sample_set import SampleSet
from engine.store.store import StoredSet, list_sets, write_set
from engine.text.near_duplicates import APART, NEAR, Nearness

TEXTS = ("The spare key of the cellar hangs behind the blue door.", "Seven geese crossed our yard in the snow.")
ASKED = "The spare key of the cellar hangs behind the blue door now."


def attach(folder: Path | str, run_id: str, texts: tuple[str, ...] = TEXTS) -> StoredSet:
    stamp = replace(make_stamp(run_id), handle=HANDLE)
    rows = [make_row(make_exemplar(text, index=number), stamp, None) for number, text in enumerate(texts)]
    return write_set(str(folder), SampleSet(stamp, "train", "attached", "plan", rows, [], {}, {}))


def age_hashes(stored: StoredSet) -> None:
    """As another version made them."""
    path = Path(stored.file(HASHES))
    pq.write_table(pq.read_table(path).replace_schema_metadata({"hashes_version": "0"}), path)


def alter_hashes(stored: StoredSet) -> None:
    path = Path(stored.file(HASHES))
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)


SPOILED: dict[str, Callable[[StoredSet], None]] = {
    "the file is gone": lambda stored: Path(stored.file(HASHES)).unlink(),
    "CRC checksum": alter_hashes,
    "another version of this program": age_hashes,
}


def find(folder: Path | str, kind: Nearness = NEAR) -> dict[str, int]:
    samples = open_samples(list_sets(str(folder), HANDLE, "train"))
    return {match.text: round(100 * match.similarity) for match in find_nearest([ASKED], samples.texts, kind).values()}


@pytest.mark.parametrize("kind", [NEAR, APART])
def test_hashes_of_the_set_itself_are_used(tmp_path: Path, kind: Nearness) -> None:
    stored = attach(tmp_path / "samples", "one")
    found = find(tmp_path / "samples", kind)
    assert [TEXTS[0]] == list(found)
    ids = pq.read_table(stored.file(SAMPLES), columns=["id"])["id"].to_pylist()
    remove_stored(stored, Removal((ids[1],), datetime.now(UTC)))

    assert found == find(tmp_path / "samples", kind)


@pytest.mark.parametrize("why", SPOILED)
def test_hashes_that_cannot_be_used_are_an_error_that_says_what_helps(tmp_path: Path, why: str) -> None:
    SPOILED[why](attach(tmp_path / "samples", "one"))
    with pytest.raises(StoreError, match=f"{why}.*exemplars detach one"):
        find(tmp_path / "samples")


@pytest.mark.slow
def test_hashes_in_an_object_store_are_used_alike(s3_uri: str, tmp_path: Path) -> None:
    attach(s3_uri, "one")
    attach(tmp_path, "one")

    assert find(tmp_path) == find(s3_uri)


def test_texts_are_read_by_their_position_across_sets(tmp_path: Path) -> None:
    for number in range(3):
        attach(tmp_path, f"run-{number}", (f"first of {number}", f"second of {number}"))
    samples = open_samples(list_sets(str(tmp_path), HANDLE, "train"))

    assert 6 == len(samples)
    assert {1: "second of 0", 4: "first of 2"} == samples.texts.read(np.array([1, 4]))
    assert ["first of 0", "second of 0"] == [item.text for item in samples][:2]
    assert {"rotating a key": 3, "moving a database": 3} == samples.count_subjects("clarity")
    assert samples.count_subjects("clarity") == samples.count_subjects()
    assert {} == samples.count_subjects("safety")
    assert [6, 6] == [sum(map(len, samples.texts.walk_hashes(column))) for column in ("signature", "runs")]
