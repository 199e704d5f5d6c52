"""The database of a Prefect server that has just come up for the first time: made once, and copied from then on."""

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

KEPT = ROOT / ".pytest_cache" / f"prefect-{prefect.__version__}.db"
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
    """Puts the database where a server with this ``PREFECT_HOME`` looks for it; one that is there stays."""
    if (home / NAME).exists():
        return
    KEPT.parent.mkdir(exist_ok=True)
    with FileLock(KEPT.with_suffix(".lock")):
        if not KEPT.exists():
            _make_database()
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(KEPT, home / NAME)


def _make_database() -> None:
    making = KEPT.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    ours = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
    subprocess.run(
        [sys.executable, "-c", MAKING], env={**ours, "PREFECT_HOME": str(making)}, check=True, capture_output=True
    )
    # One file, whatever SQLite has left beside it.
    with closing(sqlite3.connect(making / NAME)) as made, closing(sqlite3.connect(making / "whole.db")) as whole:
        made.backup(whole)
    (making / "whole.db").replace(KEPT)
    shutil.rmtree(making)
