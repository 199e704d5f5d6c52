"""What the tests of the flows share: a workspace and a provider for each test."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from fakes.commands import Command, commanding
from fakes.provider import Provider, serve_provider
from fakes.surface import Surface, open_surface
from fakes.workspace import Workspace, make_workspace

from flows.run.worker import WORKER

Result = TypeVar("Result")


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that answers well until it is told otherwise."""
    with serve_provider() as served:
        yield served


@pytest.fixture
def workspace(tmp_path: Path, provider: Provider) -> Workspace:
    """A workspace whose runs ask the provider."""
    return make_workspace(tmp_path, provider)


@pytest.fixture
def entered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose variables are this process's."""
    workspace.enter(monkeypatch)
    return workspace


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """``exemplars`` in this process, at a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with commanding(capsys) as call:
        yield call


@pytest.fixture
def heavy_here() -> Iterator[None]:
    """Backfills do the heavy work in this process: another one takes its imports' time for each.

    One piece at a time, as a worker does it: two gates at once would find out together how many arguments an action of
    Great Expectations' parser takes (pyparsing's ``_trim_arity``), and then never call it right.
    """
    turn = threading.Lock()

    async def run_in_turn(work: Callable[[], Result]) -> Result:
        def run() -> Result:
            with turn:
                return work()

        return await asyncio.to_thread(run)

    token = WORKER.set(run_in_turn)
    yield
    WORKER.reset(token)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue that is not there yet, which this process is led to."""
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    with open_surface(tmp_path_factory.mktemp("surface") / "site") as surface:
        yield surface


@pytest.fixture
def surface(opened: Surface) -> Iterator[Surface]:
    """The surface, of which each test leaves the catalogue as it was and nothing else."""
    yield opened
    opened.forget()
