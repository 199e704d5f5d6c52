"""A store that a version of November 2026 wrote (commit adbc6ab), with the layout of that time.

It has one model and four sets: one attached, one for evaluation, one rejected, one detached.
"""

import shutil
import tarfile
from pathlib import Path

from engine.system.filesystem import open_folder

HANDLE = "u22a8.toolshed"
ATTACHED = "5bdee056-18ce-45ab-bc17-5cbb607b7b81"
HELD_OUT = "37ab5a74-02d6-46da-b1a2-ffe104c72bab"
REJECTED = "9bccdb3f-93d3-4455-bdf3-aede714f95e7"
DETACHED = "a41b5703-9cb8-46a6-86ea-f651d96bc97e"
# Of the attached set and of the one for evaluation.
ROWS = 8
_ARCHIVE = Path(__file__).with_name("older_sets.tar.xz")


def put_older_store(store: Path) -> Path:
    """Unpacks the store into a folder, with the times that its files had, and a ledger of a backfill."""
    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(store, filter="data")
    (store / "_backfills").mkdir()
    (store / "_backfills/1.json").write_text('{"models": [], "ended": true}')
    return store


def put_older_store_on_s3(uri: str, scratch: Path) -> str:
    """The same on S3, where each file has the time at which it was put; the manifests go last."""
    filesystem, path = open_folder(uri)
    folder = put_older_store(scratch)
    files = [found for found in folder.rglob("*") if found.is_file()]
    for file in sorted(files, key=lambda found: (found.name == "_manifest.json", found.stat().st_mtime_ns)):
        with filesystem.open_output_stream(f"{path}/{file.relative_to(folder)}", compression=None) as stream:
            stream.write(file.read_bytes())
    shutil.rmtree(folder)
    return uri
