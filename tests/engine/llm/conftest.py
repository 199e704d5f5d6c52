"""Both databases: the guarantees for kept replies hold on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from fakes.reply_tables import place_in
from pydantic import SecretStr

from engine.settings import DatabaseUrl


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseUrl:
    """An empty database for one test."""
    if request.param == "postgresql":
        return SecretStr(request.getfixturevalue("postgres").make_database())
    return place_in(tmp_path / "cache")
