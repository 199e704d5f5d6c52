"""Lock a model's sets for one writer at a time, on any machine, even for runs of different Prefect servers.

A model's lease separates the runs of one server until they end; this lock separates all writers while they write.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from engine.system.filesystem import list_below, lock_folder, open_folder

# Folder of the writers' objects in the root of a store; programs that read whole folders skip it.
WRITERS = "__writers__"
# A writer holds the lock for some seconds. A dead writer blocks other writers for so long, by the store's clock.
STALE_SECONDS = 60.0
PAUSE_SECONDS = (0.05, 0.25)


@contextmanager
def lock_model(folder: str) -> Iterator[Callable[[], None]]:
    """Keep all other writers from changing a model's sets, in both pools, inside the block.

    A local folder is locked. An object store has no locks: there a writer puts an object, lists the objects, and holds
    the lock if there is no other. The later of two writers sees the object of the earlier one, since the store lists
    new objects at once (S3 does since 2020). So two never hold the lock, and no store needs a conditional PUT.

    Args:
        folder: the model's folder in the store, or a folder below it.

    Yields:
        ``confirm``, to call before the decisive step: raises ``OSError`` if the lock expired and another writer got it.

    Raises:
        OSError, pa.ArrowException: the store cannot be read or written.
    """
    filesystem, path = open_folder(folder.partition("/pool=")[0])
    if isinstance(filesystem, fs.LocalFileSystem):
        Path(path).mkdir(parents=True, exist_ok=True)
        with lock_folder(filesystem, path):
            yield lambda: None
        return
    root, _, name = path.rpartition("/")
    marker = f"{root}/{WRITERS}/{name}/{uuid4().hex}"

    def confirm() -> None:
        if filesystem.get_file_info(marker).type != fs.FileType.File:
            raise OSError(f"writing took more than {STALE_SECONDS:.0f} s, and another writer got the lock. Start again")

    try:
        while others := _announce(filesystem, marker):
            # Only the waiting writer with the first name keeps its object.
            if min(others) < marker:
                filesystem.delete_file(marker)
            time.sleep(random.uniform(*PAUSE_SECONDS))
        yield confirm
    finally:
        with suppress(OSError, pa.ArrowException):
            filesystem.delete_file(marker)


def _announce(filesystem: fs.FileSystem, marker: str) -> list[str]:
    """Put a writer's object, delete the objects of dead writers, and return the objects of all other writers."""
    with filesystem.open_output_stream(marker) as stream:
        stream.write(b"")
    moments = {info.path: info.mtime_ns for info in list_below(filesystem, marker.rpartition("/")[0])}
    if marker not in moments:
        raise OSError("it does not list an object that was just put, so another writer cannot be detected")
    stale = [path for path, moment_ns in moments.items() if moment_ns < moments[marker] - STALE_SECONDS * 1e9]
    for path in stale:
        with suppress(FileNotFoundError):
            filesystem.delete_file(path)
    return [path for path in moments if path not in {marker, *stale}]
