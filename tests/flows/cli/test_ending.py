"""How a command's run ends by signals: in its own order, and once."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from engine.errors import RunInterruptedError
from engine.system.child_process import SIGNALS
from flows.cli.in_process import ending_once

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Struck(Exception):  # noqa: N818 (no error of the code's)
    """A signal that nothing has caught."""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    def strike(number: int, _: object) -> None:
        raise Struck(number)

    before = {number: signal.signal(number, strike) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize(("first", "later"), [(INT, ()), (TERM, (TERM,)), (HUP, (INT, TERM, HUP))])
def test_run_ends_in_its_own_order_whatever_else_comes(
    first: signal.Signals, later: tuple[signal.Signals, ...]
) -> None:
    said = []

    async def work() -> None:
        said.append("begun")
        send(first, *later)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("ends")
            send(*later)
            await asyncio.sleep(0)
            said.append("ended")
            raise

    with pytest.raises(RunInterruptedError, match=r"^interrupted\. The replies so far are kept"), ending_once() as run:
        run(work())
    send(*later)

    assert ["begun", "ends", "ended"] == said


def test_signal_before_the_run_has_begun_ends_all() -> None:
    with pytest.raises(RunInterruptedError), ending_once():
        send(TERM)


def test_signal_that_is_ignored_stays_so_and_one_after_the_run_changes_nothing() -> None:
    signal.signal(HUP, signal.SIG_IGN)

    async def work() -> str:
        send(HUP)
        await asyncio.sleep(0)
        return "done"

    with ending_once() as run:
        assert "done" == run(work())
    with pytest.raises(Struck):
        send(TERM)
    with ending_once() as run:
        assert "done" == run(work())
        send(INT)
