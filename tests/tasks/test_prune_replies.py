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


def test_unused_plans_are_dropped_and_told_and_a_cache_that_cannot_be_listed_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = RepliesPlace(str(tmp_path))
    for plan_id in ("mine", "other"):
        ReplyStore(place, plan_id).close()
    said, left = [], []
    with caplog.at_level(logging.INFO):
        for now in (datetime.now(UTC), LATER):
            prune_replies(Settings(cache_dir=str(tmp_path)), ["mine"], now, LOG)
            said.append(list(caplog.messages))
            left.append({plan.plan_id for plan in list_cache(place)})
        (tmp_path / "file").touch()
        prune_replies(Settings(cache_dir=str(tmp_path / "file")), ["mine"], LATER, LOG)
    told, warning = caplog.messages

    assert ([[], [told]], [{"mine", "other"}, {"mine"}]) == (said, left)
    assert told.startswith("Dropped the kept replies of 1 plan (0.0 MB), unused for 90 days or more than 10 GB")
    assert "Not a directory" in warning
