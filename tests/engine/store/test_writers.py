"""Writers that share no Prefect server: one at a time gets in, on a disk and on S3, and a dead one keeps nobody out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.s3 import S3, list_keys
from fakes.stored import HANDLE, attach_alone, attach_set

from engine.errors import StoreError
from engine.store import writers
from engine.store.layout import MANIFEST
from engine.store.store import list_newer
from engine.store.verify import StoreVerifier
from engine.store.writers import WRITERS, lock_model
from engine.system.filesystem import replace_file

pytestmark = pytest.mark.slow
# What is put before samples.parquet: the writer's own object, the rejected rows, the hashes.
BEFORE_SAMPLES = 3


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_of_many_that_would_attach_one_text_to_either_pool_one_does(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    """Threads here: each opens the folder anew, so that their locks keep them apart as those of processes do."""
    store = str(tmp_path / "samples") if kind == "disk" else request.getfixturevalue("s3_uri")
    runs = [f"{number}-{pool}" for number in range(4) for pool in ("train", "eval")]
    with ThreadPoolExecutor(len(runs)) as pool:
        written = dict(zip(runs, pool.map(attach_alone, [store] * len(runs), runs), strict=True))

    [one] = [run for run, done in written.items() if done]
    assert (one,) == list_newer(store, HANDLE, ())
    assert () == list_newer(store, HANDLE, [one])
    assert [] == list(StoreVerifier(store).find_faults())
    assert [] == [key for key in list_keys(store) if WRITERS in key]


def test_dead_writer_keeps_others_out_for_a_while_only(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "STALE_SECONDS", 1.0)
    left = f"{WRITERS}/handle={HANDLE}/0"
    replace_file(f"{s3_uri}/{left}", b"")
    with lock_model(f"{s3_uri}/handle={HANDLE}") as confirm:
        confirm()
        [own] = list_keys(s3_uri)

    assert own != left
    assert [] == list_keys(s3_uri)


def test_writer_that_was_taken_for_dead_attaches_nothing(s3_uri: str, s3: S3) -> None:
    let_through = s3.let_through

    def take_away(method: str) -> bool:
        if (method, s3.changes) == ("PUT", BEFORE_SAMPLES):
            s3.let_through = let_through  # type: ignore[method-assign]
            s3.forget_writers()
        return let_through(method)

    s3.let_through = take_away  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="another writer got the lock"):
        attach_set(s3_uri, "late")

    assert () == list_newer(s3_uri, HANDLE, ())
    assert [] == [key for key in list_keys(s3_uri) if key.endswith(MANIFEST)]
