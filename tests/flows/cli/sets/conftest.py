"""What the tests of the commands on sets share."""

import pytest
from fakes.workspace import Workspace


@pytest.fixture
def entered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose variables are this process's."""
    workspace.enter(monkeypatch)
    return workspace
