"""What the tests of the door share: a small application in this process, the real server, and the whole surface."""

from collections.abc import Iterator

import pytest
from fakes.edge import Edge, make_app, serve_edge
from fakes.surface import Surface, open_surface
from starlette.testclient import TestClient


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app())


@pytest.fixture(scope="session")
def edge() -> Iterator[Edge]:
    """A server that no test stops."""
    with serve_edge() as served:
        yield served


@pytest.fixture(scope="session")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    """The door with Prefect's server behind it; each test leaves no run that is live."""
    with open_surface(tmp_path_factory.mktemp("surface") / "site") as opened:
        yield opened
