"""A temporary server is for who has configured none; a fresh PREFECT_HOME gets a copy of a migrated database."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fakes.site import clear_environment
from fakes.workspace import ROOT
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_API_URL, PREFECT_HOME, temporary_settings

from engine.errors import OrchestratorError
from engine.system.child_process import ChildServer
from flows.cli.in_process import SERVER_PROCESS, ensure_server, starting_server
from flows.cli.server_process import DATABASE, find_template, keep_template, lay_template


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


def test_process_ends_by_itself_where_a_profile_names_a_server(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        'active = "there"\n[profiles.there]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    with subprocess.Popen(
        [sys.executable, str(SERVER_PROCESS)],
        env={**clear_environment(), "PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        # Its input is still open.
        code = process.wait()

    assert (0, b"") == (code, told)
    assert not (tmp_path / "prefect.db").exists()


def test_server_that_is_configured_needs_no_other_and_one_that_does_not_start_says_why() -> None:
    server = ChildServer([sys.executable, "-c", "raise SystemExit('no room')"], dict(os.environ))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), starting_server() as other:
        assert None is other
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(OrchestratorError, match=r"did not start: no room\. Check that PREFECT_HOME"),
        ensure_server(server),
    ):
        pytest.fail("it goes on")
