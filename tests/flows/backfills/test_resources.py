"""What the runs of a backfill share: its limit on cost stands where all of its parts can reach it."""

import pytest

from engine.settings import Settings
from flows.backfills.resources import make_shared_budget


@pytest.mark.parametrize(
    ("url", "is_shared"), [(None, False), ("sqlite:////tmp/replies.sqlite", False), ("postgresql://db/replies", True)]
)
def test_limit_of_all_parts_stands_in_a_servers_database_and_in_no_file(url: str | None, is_shared: bool) -> None:
    budget = make_shared_budget(Settings(replies_url=url), 8.0, 3.0)

    assert budget is not None
    assert (is_shared, 5.0) == (budget.limit is not None, budget.left_usd)


def test_backfill_without_a_limit_counts_nothing_together() -> None:
    assert make_shared_budget(Settings(), None, 3.0) is None
