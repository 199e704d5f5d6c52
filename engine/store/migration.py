"""Moves sets of the older layout to this version's, in place, so that a reader sees all of a set at every moment.

The samples stay where they are. The other files are put under their new names beside the old ones, then the new
manifest is put, and the old names go last, the old manifest after all others. Readers take the new manifest where there
is one. So a move that is killed loses nothing, and the next one finishes it.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml
from pyarrow import fs

from engine.store.backfill_ledger import BACKFILLS, OLDER_BACKFILLS
from engine.store.layout import CARD, MANIFEST, NEWER_NAMES, OLDER_FOLDER, OLDER_MANIFEST, REPORT, RUN_FOLDER, SAMPLES
from engine.store.sample_set import read_manifest_file, seal
from engine.system.filesystem import list_below, lock_folder, open_folder, write_whole

# An object store may tell times in whole seconds.
SECOND = 1.0


def list_unmoved(samples_uri: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the handle of each model with sets of the older layout, and their folders in the order of attachment.

    Raises:
        OSError, pa.ArrowException: the store cannot be listed.
    """
    root = samples_uri.rstrip("/")
    filesystem, path = open_folder(root)
    for model in sorted(list_below(filesystem, path), key=lambda info: str(info.path)):
        if not model.base_name.startswith("handle=") or model.type != fs.FileType.Directory:
            continue
        found = []
        for info in list_below(filesystem, model.path, recursive=True):
            place, _, name = info.path.removeprefix(f"{path}/").rpartition("/")
            if name == OLDER_MANIFEST and place.count("/") == 2:
                found.append((info.mtime_ns or 0, place))
        if found:
            yield model.base_name.removeprefix("handle="), tuple(f"{root}/{place}" for _, place in sorted(found))


def move_ledgers(samples_uri: str) -> None:
    """Moves the ledgers of backfills to the folder that they have in this version; a newer one stays.

    Raises:
        OSError, pa.ArrowException: the store cannot be read or written.
    """
    filesystem, path = open_folder(samples_uri.rstrip("/"))
    infos = list_below(filesystem, f"{path}/{OLDER_BACKFILLS}")
    for info in infos:
        place = f"{path}/{BACKFILLS}/{info.base_name}"
        if filesystem.get_file_info(place).type == fs.FileType.NotFound:
            with filesystem.open_input_file(info.path) as stream:
                write_whole(filesystem, place, bytes(stream.read()))
    if infos:
        filesystem.delete_dir(f"{path}/{OLDER_BACKFILLS}")


def move_sets(folders: Sequence[str]) -> None:
    """Moves sets of one model, given in the order of their attachment, and keeps that order.

    An object store gives a manifest the time of its move. Sets with one time sort by run id, so one that would come to
    stand before its predecessor waits for another second.

    Raises:
        OSError, pa.ArrowException, StoreError: as ``move_set``.
    """
    before = ""
    for folder in folders:
        if folder < before and "://" in folder:
            time.sleep(SECOND)
        move_set(folder)
        before = folder


def move_set(folder: str) -> bool:
    """Moves a set to this version's layout, or finishes a move that was killed; False if there is nothing to move.

    A file that was altered stays so: the digests of what was written move along. On a local disk the set keeps its time
    of attachment. The caller must keep runs of the model out.

    Raises:
        OSError, pa.ArrowException: the store cannot be read or written; the set can be read all the same.
        StoreError: a manifest cannot be read.
    """
    filesystem, path = open_folder(folder)
    with lock_folder(filesystem, path.rpartition("/")[0]):
        manifest = read_manifest_file(f"{folder}/{OLDER_MANIFEST}")
        if manifest is None:
            return False
        if read_manifest_file(f"{folder}/{MANIFEST}") is None:
            _put_newer(filesystem, path, manifest)
        _delete_older(filesystem, path, manifest)
        return True


def _put_newer(filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any]) -> None:
    """Puts the files under their new names and the new manifest, which has the old one's time on a local disk."""
    with suppress(FileNotFoundError):
        filesystem.delete_dir(f"{path}/{RUN_FOLDER}")
    files = {}
    for older, entry in manifest.get("files", {}).items():
        newer = NEWER_NAMES.get(older, older)
        files[newer] = entry if newer == SAMPLES else _move_file(filesystem, path, older, entry)
    attached_ns = filesystem.get_file_info(f"{path}/{OLDER_MANIFEST}").mtime_ns
    write_whole(filesystem, f"{path}/{MANIFEST}", seal({**manifest, "files": files}), attached_ns)


def _move_file(filesystem: fs.FileSystem, path: str, older: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Puts a file under its new name, and returns its entry for the new manifest; one that is missing stays missing."""
    newer = NEWER_NAMES.get(older, older)
    try:
        with filesystem.open_input_file(f"{path}/{older}") as stream:
            content = bytes(stream.read())
    except FileNotFoundError:
        return entry
    if hashlib.sha256(content).hexdigest() == entry.get("sha256"):
        content = _mend_neighbours(newer, content)
        entry = {**entry, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_whole(filesystem, f"{path}/{newer}", content)
    return entry


def _mend_neighbours(name: str, content: bytes) -> bytes:
    """The file with the new names of its neighbours, which the card's header and one sentence of the report name."""
    if name == REPORT:
        return content.replace(b"<code>rejected.parquet</code>", b"<code>rejected.pq</code>")
    if name != CARD:
        return content
    _, header, body = content.decode().split("---\n", 2)
    fields = yaml.safe_load(header)
    for config in fields["configs"]:
        for entry in config["data_files"]:
            entry["path"] = f"../{SAMPLES}"
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---\n{body}".encode()


def _delete_older(filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any]) -> None:
    """Deletes what has moved, the old manifest last; what no manifest names is left for ``verify`` to tell of."""
    moved = {f"{path}/{name}" for name in manifest.get("files", {}) if name in NEWER_NAMES}
    infos = list_below(filesystem, f"{path}/{OLDER_FOLDER}", recursive=True)
    there = {info.path for info in infos if info.type == fs.FileType.File}
    if there <= moved:
        with suppress(FileNotFoundError):
            filesystem.delete_dir(f"{path}/{OLDER_FOLDER}")
    else:
        for name in there & moved:
            filesystem.delete_file(name)
    filesystem.delete_file(f"{path}/{OLDER_MANIFEST}")
