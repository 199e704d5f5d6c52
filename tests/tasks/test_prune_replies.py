"""Where a run ends, kept replies that are too old or too many are dropped, and a failure to do so is no failure."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.replies.admin import list_cache
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace, Settings
from tasks.prune_replies import prune_replies

LOG = logging.getLogger("tests.plan")
LATER = datetime.now(UTC) + timedelta(days=91)


def drop(cache: Path, now: datetime = LATER) -> None:
    for plan_id in ("mine", "other"):
        if not cache.is_file():
            ReplyStore(RepliesPlace(str(cache)), plan_id).close()
    prune_replies(Settings(cache_dir=str(cache)), ["mine"], now, LOG)


def test_unused_plans_are_dropped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        drop(tmp_path)

    assert ["mine"] == [plan.plan_id for plan in list_cache(RepliesPlace(str(tmp_path)))]
    [told] = caplog.messages
    assert told.startswith("Dropped the kept replies of 1 plan (0.0 MB), unused for 90 days or more than 10 GB")


def test_nothing_is_told_where_nothing_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        drop(tmp_path, datetime.now(UTC))

    assert ([], 2) == (caplog.messages, len(list_cache(RepliesPlace(str(tmp_path)))))


def test_cache_that_cannot_be_listed_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file")
    drop(tmp_path / "cache")

    [warning] = caplog.messages
    assert "Not a directory" in warning
