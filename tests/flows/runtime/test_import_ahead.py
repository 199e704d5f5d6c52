"""Great Expectations is imported while models are asked, in the process that runs the gate."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from expectations import checking
from flows.runtime.resources import RunResources


@pytest.mark.parametrize(("shared", "asked"), [(None, 1), (object(), 0)])
async def test_it_is_imported_on_a_thread(monkeypatch: pytest.MonkeyPatch, shared: Any, asked: int) -> None:
    called, works = threading.Event(), []

    async def run_heavy(work: Callable[[], Any]) -> Any:
        works.append(work)
        return work()

    monkeypatch.setattr(checking, "import_gx", called.set)
    nothing = cast("Any", None)
    await RunResources(nothing, nothing, nothing, nothing, nothing, run_heavy, shared=shared).import_ahead()

    assert asked == len(works)
    assert bool(asked) == called.wait(10 if asked else 0.05)
