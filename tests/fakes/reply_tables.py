"""The tables of kept replies as another program sees them, on SQLite and PostgreSQL."""

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import create_engine, text

from engine.settings import REPLIES_FILE, SQLITE, DatabaseUrl


def place_in(folder: Path | str) -> DatabaseUrl:
    """The file of kept replies below a cache folder."""
    return SecretStr(f"{SQLITE}{folder}/{REPLIES_FILE}")


def run_sql(place: DatabaseUrl, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """The rows of a statement, which is committed."""
    engine = create_engine(place.get_secret_value().replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def age_plan(place: DatabaseUrl, plan_id: str, used_at: datetime) -> None:
    used = {"used_at": used_at.timestamp(), "plan_id": plan_id}
    run_sql(place, "UPDATE exemplars_openings SET used_at = :used_at WHERE plan_id = :plan_id", **used)
