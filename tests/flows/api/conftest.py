"""What the tests of the edge share: the small application in this process, and the real server."""

from collections.abc import Iterator

import pytest
from fakes.edge import Edge, make_app, serve_edge
from starlette.testclient import TestClient


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app())


@pytest.fixture(scope="session")
def edge() -> Iterator[Edge]:
    """A server that no test stops."""
    with serve_edge() as served:
        yield served
