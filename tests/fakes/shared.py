"""Servers that all processes of one session of tests share: whoever needs one first starts it, and all end with it."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes.workspace import kill_marked
from filelock import FileLock

# The folder of the session, which xdist's workers inherit.
FOLDER = "SHARED_BY_TESTS"
Told = Mapping[str, Any]


@contextmanager
def open_session() -> Iterator[None]:
    """A folder for what is shared; at the end every process that has its mark is gone."""
    folder = Path(tempfile.mkdtemp(prefix="exemplars-tests-"))
    # A server of PostgreSQL's own user has to get to its folder.
    folder.chmod(0o755)
    os.environ[FOLDER] = str(folder)
    try:
        yield
    finally:
        kill_marked(folder)
        shutil.rmtree(folder, ignore_errors=True)


def share(name: str, start: Callable[[Path], Told]) -> Told:
    """What ``start`` tells of a server, as JSON; it is called once a session, with a folder of the server's own.

    The processes that it starts have to carry ``MARK`` with that folder, and to be none of its caller's group.
    """
    folder = Path(os.environ[FOLDER]) / name
    told = folder.with_suffix(".json")
    with FileLock(folder.with_suffix(".lock")):
        if not told.exists():
            told.write_text(json.dumps(start(folder)))
    return dict(json.loads(told.read_text()))
