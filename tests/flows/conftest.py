"""What the tests of the flows share: a workspace and a provider for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.provider import Provider, serve_provider
from fakes.workspace import Workspace, make_workspace


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
