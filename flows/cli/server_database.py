"""The database of a temporary Prefect server in a fresh ``PREFECT_HOME``: copied from one that is migrated already.

Prefect's migrations take longer than all else of such a server's start. The template is made at set-up, or else by the
first server that had to migrate, once for each version of Prefect. A database that is there is never touched.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

from engine.system.child_process import ChildServerError, run_child_server

DATABASE = "prefect.db"
MAKE_SECONDS = 300.0


def lay_template() -> bool:
    """Copies the template to where Prefect's settings have the database, if nothing is there.

    Returns:
        Whether a new database will be made there, since there is no template.
    """
    database = _find_database()
    if database is None or any(database.parent.glob(f"{database.name}*")):
        return False
    part = database.with_name(f".{database.name}.{os.getpid()}")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(find_template(), part)
        # Not a move: another server may have begun its own database meanwhile.
        database.hardlink_to(part)
    except OSError:
        return not database.exists()
    finally:
        part.unlink(missing_ok=True)
    return False


def keep_template() -> None:
    """Keeps a copy of the database, which has just been made and which nobody has used, as the template."""
    database, template = _find_database(), find_template()
    if database is None or template.exists():
        return
    part = template.with_name(f".{template.name}.{os.getpid()}")
    with suppress(OSError, sqlite3.Error):
        try:
            template.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(part)) as copy:
                source.backup(copy)
                # What belongs to one server, such as the key that its secrets are encrypted with.
                copy.execute("DELETE FROM configuration")
                copy.commit()
            part.replace(template)
        finally:
            part.unlink(missing_ok=True)


def find_template() -> Path:
    """Where the template of the installed version of Prefect lies."""
    return user_cache_path("exemplars") / f"prefect-{version('prefect')}.db"


def make_template() -> None:
    """Makes the template, if there is none, by a server that nobody uses. Where it cannot be made, a run migrates."""
    if find_template().exists():
        return
    process = Path(__file__).with_name("temporary_server_process.py")
    ours = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
    with tempfile.TemporaryDirectory() as home, suppress(ChildServerError):
        given = {**ours, "PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
        with run_child_server([sys.executable, str(process)], given, MAKE_SECONDS):
            pass


def _find_database() -> Path | None:
    """The database file, where it is Prefect's own in its home; another one is its owner's."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME

    database: Path = PREFECT_HOME.value() / DATABASE
    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    return database if url == f"sqlite+aiosqlite:///{database}" else None


if __name__ == "__main__":
    make_template()
