"""A fresh PREFECT_HOME gets a copy of a migrated database; one that is there is never touched."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME, temporary_settings

from flows.cli.server_database import DATABASE, find_template, keep_template, lay_template


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh home, and no template as yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "home"
    url = f"sqlite+aiosqlite:///{folder / DATABASE}"
    with temporary_settings({PREFECT_HOME: folder, PREFECT_API_DATABASE_CONNECTION_URL: url}):
        yield folder


def read(database: Path, table: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute(f"SELECT * FROM {table}").fetchall()


def test_home_without_template_is_migrated_and_the_next_gets_a_copy_without_its_key(home: Path) -> None:
    is_new = lay_template()
    home.mkdir(exist_ok=True)
    # What a server leaves in a fresh home, as far as it matters here.
    with closing(sqlite3.connect(home / DATABASE)) as database:
        database.executescript("""
            PRAGMA journal_mode=WAL;
            CREATE TABLE configuration (key, value);
            CREATE TABLE block_type (name);
            INSERT INTO configuration VALUES ('ENCRYPTION_KEY', 'secret');
            INSERT INTO block_type VALUES ('Secret');
        """)
    keep_template()
    kept = read(home / DATABASE, "configuration")
    for file in home.iterdir():
        file.unlink()
    is_new_again = lay_template()

    assert (True, False) == (is_new, is_new_again)
    assert [("Secret",)] == read(home / DATABASE, "block_type")
    assert [DATABASE] == [file.name for file in home.iterdir()]
    assert [("ENCRYPTION_KEY", "secret")] == kept
    assert [] == read(find_template(), "configuration")


@pytest.mark.parametrize("name", [DATABASE, f"{DATABASE}-wal", None])
def test_database_that_is_there_or_is_another_is_not_touched(home: Path, tmp_path: Path, name: str | None) -> None:
    find_template().parent.mkdir(parents=True)
    find_template().write_bytes(b"a template")
    other = {PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"}
    home.mkdir()
    if name:
        (home / name).write_bytes(b"somebody's")
    with temporary_settings({} if name else other):
        is_new = lay_template()

    assert not is_new
    assert ({name: b"somebody's"} if name else {}) == {file.name: file.read_bytes() for file in home.iterdir()}
    assert not (tmp_path / "other.db").exists()
