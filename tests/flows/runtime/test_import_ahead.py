"""Great Expectations is imported while models are asked, where no other process has it."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from engine.system.worker_process import RunHeavy, run_here
from flows.runtime import resources
from flows.runtime.resources import RunResources


async def run_elsewhere(work: Callable[[], Any]) -> Any:
    return work()


@pytest.mark.parametrize(("run_heavy", "imported"), [(run_here, True), (run_elsewhere, False)])
def test_it_is_imported_on_a_thread(monkeypatch: pytest.MonkeyPatch, run_heavy: RunHeavy, imported: bool) -> None:
    called = threading.Event()
    monkeypatch.setattr(resources, "import_gx", called.set)
    nothing = cast("Any", None)
    RunResources(nothing, nothing, nothing, nothing, nothing, run_heavy).import_ahead()

    assert imported == called.wait(10 if imported else 0.05)
