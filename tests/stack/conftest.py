"""What tests of the whole share: the stack, and a model of each test's own."""

from collections.abc import Iterator

import pytest
from fakes.provider import Behaviour
from fakes.stack import Stack, open_stack


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack; a test wants ``stack``."""
    with open_stack(tmp_path_factory.mktemp("stack")) as opened:
        yield opened


@pytest.fixture
def stack(whole_stack: Stack) -> Stack:
    """The stack, whose provider answers well until it is told otherwise."""
    whole_stack.provider.behaviour = Behaviour()
    whole_stack.provider.forget()
    return whole_stack


@pytest.fixture
def handle(stack: Stack, request: pytest.FixtureRequest) -> str:
    """A model of the test's own."""
    return stack.add_model(request.node.name.removeprefix("test_"))
