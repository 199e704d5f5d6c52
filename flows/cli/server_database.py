"""The database of a temporary Prefect server in a fresh ``PREFECT_HOME``: copied from one that is migrated already.

Prefect's migrations take longer than all else of such a server's start. The first server that has to migrate keeps its
database as the template, once for each version of Prefect. A database that is there is never touched.
"""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

DATABASE = "prefect.db"


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


def _find_database() -> Path | None:
    """The database file, where it is Prefect's own in its home; another one is its owner's."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME

    database: Path = PREFECT_HOME.value() / DATABASE
    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    return database if url == f"sqlite+aiosqlite:///{database}" else None
