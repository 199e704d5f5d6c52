"""What the tests of the door share: the whole surface in this process."""

from collections.abc import Iterator

import pytest
from fakes.surface import Surface, open_surface


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    with open_surface(tmp_path_factory.mktemp("surface") / "site") as surface:
        yield surface


@pytest.fixture
def surface(opened: Surface) -> Iterator[Surface]:
    """The surface, of which each test leaves the catalogue as it was and nothing else."""
    yield opened
    opened.forget()
