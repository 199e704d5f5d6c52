"""Lets one writer at a time change a model's sets, on whichever machine it is: also runs that share no Prefect server.

The model's lease keeps the runs of one server apart from beginning to end, this keeps all writers apart while they
write.
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

# A folder in the root of a store, which readers of whole folders pass over.
WRITERS = "__writers__"
# A writer is in for some seconds. One that died keeps the others out for so long, by the store's own clock.
STALE_SECONDS = 60.0
PAUSE_SECONDS = (0.05, 0.25)


@contextmanager
def lock_model(folder: str) -> Iterator[Callable[[], None]]:
    """Inside the block nobody else changes a model's sets, of either pool.

    A local folder is locked. An object store has no locks: there a writer puts an object of its own, then lists, and is
    in once it sees no other. Of two, the one that put later sees the other's object, since such a store lists at once
    what was put (S3 has since 2020). So two are never in, and no store needs a conditional PUT.

    Args:
        folder: the model's in the store, or one below it.

    Yields:
        What a writer calls before the step that counts: an ``OSError`` if it took so long that another was let in.

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
    own = f"{root}/{WRITERS}/{name}/{uuid4().hex}"

    def confirm() -> None:
        if filesystem.get_file_info(own).type != fs.FileType.File:
            raise OSError(f"writing took more than {STALE_SECONDS:.0f} s, and another writer was let in. Start again")

    try:
        while others := _announce(filesystem, own):
            # One of those that wait stays, the others make room for it.
            if min(others) < own:
                filesystem.delete_file(own)
            time.sleep(random.uniform(*PAUSE_SECONDS))
        yield confirm
    finally:
        with suppress(OSError, pa.ArrowException):
            filesystem.delete_file(own)


def _announce(filesystem: fs.FileSystem, own: str) -> list[str]:
    """Puts a writer's object and lists those of others, but for what dead ones have left, which it takes away."""
    with filesystem.open_output_stream(own) as stream:
        stream.write(b"")
    moments = {info.path: info.mtime_ns for info in list_below(filesystem, own.rpartition("/")[0])}
    if own not in moments:
        raise OSError("it does not list what was just put, so nobody can tell whether another writer is at work")
    stale = [path for path, moment_ns in moments.items() if moment_ns < moments[own] - STALE_SECONDS * 1e9]
    for path in stale:
        with suppress(FileNotFoundError):
            filesystem.delete_file(path)
    return [path for path in moments if path not in {own, *stale}]
