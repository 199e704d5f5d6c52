"""What the tests of the tools share: a catalogue with models in every state, and no Prefect server that answers."""

from collections.abc import Iterator

import pytest
from fakes.surface import fill_catalogue, read_settings_of
from fakes.workspace import Workspace, make_workspace
from prefect.context import _temporary_global_settings_context, get_settings_context
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.settings import Settings


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("tools") / "site")
    fill_catalogue(made)
    return made


@pytest.fixture(autouse=True)
def prefect_is_away() -> Iterator[None]:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        # Also where the context is none of this fixture's.
        _temporary_global_settings_context(get_settings_context()),
    ):
        yield


@pytest.fixture(scope="session")
def settings(workspace: Workspace) -> Settings:
    """Those of this machine's own user."""
    return read_settings_of(workspace)
