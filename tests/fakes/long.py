"""Long tests: races, kills and fuzzing go once through in CI, and at length with ``LONG=1``, as in ``make chaos``.

``LONG=1 pytest tests -m long`` runs all of them; ``-s`` prints what some of them have measured.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest

LONG = bool(os.environ.get("LONG"))
LONG_SECONDS = 3600

Test = Callable[..., Any]


def longer(test: Test) -> Test:
    """The test, which goes on for longer with LONG=1, and has an hour for it."""
    return pytest.mark.long(pytest.mark.timeout(LONG_SECONDS)(test) if LONG else test)


def long(test: Test) -> Test | None:
    """The test, which takes minutes; none at all without LONG=1, since in CI a skip is a failure."""
    return longer(test) if LONG else None


def choose(once: int, at_length: int) -> int:
    return at_length if LONG else once
