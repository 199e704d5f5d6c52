"""What tests of the whole share: the stack, and a model of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.provider import Behaviour
from fakes.stack import Stack, open_stack
from fakes.waiting import wait_until

# The first test waits for all of it to be up, and some for several runs, which may take minutes where much else runs.
TEST_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("stack")) as opened:
        yield opened


@pytest.fixture
def stack(whole_stack: Stack) -> Stack:
    """The stack, whose worker is up, and whose provider answers well until it is told otherwise."""
    provider = whole_stack.provider
    provider.behaviour = Behaviour()
    # What a test before has held goes now, and must not be counted in this one.
    wait_until(lambda: provider.in_flight == 0, what="no call is in flight")
    provider.forget()
    whole_stack.start_worker()
    return whole_stack


@pytest.fixture
def handle(stack: Stack, request: pytest.FixtureRequest) -> str:
    return stack.add_model(request.node.name.removeprefix("test_"))


@pytest.fixture
def taken_here(stack: Stack) -> Iterator[None]:
    """The stack's runs are taken in this process, where none is about their processes."""
    with stack.taking_runs():
        yield
