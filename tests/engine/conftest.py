"""What the tests of stores share: one S3 server a session, whole again for each test, and a place on it of its own."""

import re
from collections.abc import Iterator

import pytest
from fakes.s3 import BUCKET, S3, serve_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """The server itself; a test wants ``s3``."""
    with serve_s3() as served:
        yield served


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, that this process is led to and that lets everything through."""
    s3_server.enter(monkeypatch)
    s3_server.heal()
    return s3_server


@pytest.fixture
def s3_uri(s3: S3, request: pytest.FixtureRequest) -> str:
    """A folder of this test's own, that is not there yet."""
    return f"s3://{BUCKET}/{re.sub(r'[^a-z0-9]+', '-', request.node.nodeid.lower())}"
