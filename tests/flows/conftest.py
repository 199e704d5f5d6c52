"""What the tests of the flows share: a workspace and a provider for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.provider import Provider, serve_provider
from fakes.workspace import Workspace, make_workspace, mount_disk


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
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 KiB: room for a probe, not for a sample set or for kept replies."""
    with mount_disk(tmp_path / "disk", "size=16k") as disk:
        yield disk
