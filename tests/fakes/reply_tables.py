"""The tables of kept replies as another program sees them, on SQLite and PostgreSQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import create_engine, text

from engine.settings import RepliesPlace


def run_sql(place: RepliesPlace, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """The rows of a statement, which is committed."""
    url = place.url or f"sqlite:///{place.file}"
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def age_plan(place: RepliesPlace, plan_id: str, used_at: datetime) -> None:
    used = {"used_at": used_at.timestamp(), "plan_id": plan_id}
    run_sql(place, "UPDATE exemplars_openings SET used_at = :used_at WHERE plan_id = :plan_id", **used)
