"""One provider on loopback for all tests of what is sent to it and read from it."""

from collections.abc import Iterator

import pytest
from fakes.provider import Provider, serve_provider


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served
