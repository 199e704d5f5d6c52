"""What the tests of the commands share."""

from collections.abc import Iterator

import pytest
from fakes.commands import Command, commanding


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """``exemplars`` in this process, at a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with commanding(capsys) as call:
        yield call
