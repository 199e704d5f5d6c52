"""The databases of Prefect servers that have just come up, or just been deployed to: made once, copied from then on."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import prefect
from fakes.workspace import ROOT
from filelock import FileLock

KEPT = ROOT / ".pytest_cache"
EMPTY = KEPT / f"prefect-{prefect.__version__}.db"
# What the deploy step does may change from one session of tests to the next.
DEPLOYED = KEPT / f"deployed-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}.db"
NAME = "prefect.db"
# What a server does to its database before it answers, and what takes it half of its start.
MAKING = """
import asyncio
from prefect.server.database import provide_database_interface
from prefect.server.models.block_registration import run_block_auto_registration

async def make() -> None:
    database = provide_database_interface()
    await database.create_db()
    async with await database.session() as session:
        await run_block_auto_registration(session=session)

asyncio.run(make())
"""


def lay_database(home: Path) -> None:
    """Puts an empty database where a server with this ``PREFECT_HOME`` looks for it; one that is there stays."""
    if (home / NAME).exists():
        return
    KEPT.mkdir(exist_ok=True)
    with FileLock(EMPTY.with_suffix(".lock")):
        if not EMPTY.exists():
            making = EMPTY.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            ours = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
            given = {**ours, "PREFECT_HOME": str(making)}
            subprocess.run([sys.executable, "-c", MAKING], env=given, check=True, capture_output=True)
            _copy_whole(making / NAME, EMPTY)
            shutil.rmtree(making)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(EMPTY, home / NAME)


def lay_deployed(home: Path) -> bool:
    """Does the same with the database of a server that has been deployed to; False where none is kept as yet."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(DEPLOYED, home / NAME)
    except FileNotFoundError:
        return False
    return True


def keep_deployed(home: Path) -> None:
    for old in KEPT.glob("deployed-*.db"):
        old.unlink(missing_ok=True)
    _copy_whole(home / NAME, DEPLOYED)


def _copy_whole(database: Path, kept: Path) -> None:
    """Copies it as one file, whatever SQLite has beside it, and in one move."""
    copy = kept.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.replace(kept)
