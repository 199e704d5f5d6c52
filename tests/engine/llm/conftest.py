"""Both databases: what is promised of kept replies holds on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from engine.settings import RepliesPlace


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> RepliesPlace:
    """A database of this test's own, in which there is nothing as yet."""
    url = request.getfixturevalue("postgres").make_database() if request.param == "postgresql" else None
    return RepliesPlace(str(tmp_path / "cache"), url)
