"""Where a run ends, kept replies that are too old or too many are dropped, and a failure to do so is no failure.

``tests/flows/test_synthesize.py`` has what is dropped.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.run.prune_replies import prune_replies
from engine.settings import Settings


def test_cache_that_cannot_be_listed_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    prune_replies(Settings(cache_dir=str(tmp_path / "file")), ["mine"], datetime.now(UTC), logging.getLogger("tests"))
    [warning] = caplog.messages

    assert "Not a directory" in warning
