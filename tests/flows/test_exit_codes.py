"""How a command ends: an interrupt is one wherever it comes from, and an error of nobody's is not hidden."""

from collections.abc import Callable

import pytest
import typer
from fakes.commands import commanding
from pydantic import BaseModel, model_serializer

from flows.exit_codes import run_app


class Interrupted(BaseModel):
    @model_serializer
    def serialize(self) -> None:
        raise KeyboardInterrupt


def interrupt() -> None:
    raise KeyboardInterrupt


def call(work: Callable[[], object]) -> int:
    app = typer.Typer()

    @app.command()
    def command() -> None:
        work()

    return run_app(app, [], "it")


@pytest.mark.parametrize("work", [interrupt, Interrupted().model_dump])
def test_interrupt_is_told_also_where_pydantic_wraps_it(
    capsys: pytest.CaptureFixture[str], work: Callable[[], object]
) -> None:
    with commanding(capsys):
        assert 130 == call(work)
    assert ("", "exemplars: interrupted\n") == capsys.readouterr()


def test_error_that_is_none_of_ours_is_raised(capsys: pytest.CaptureFixture[str]) -> None:
    with commanding(capsys), pytest.raises(ZeroDivisionError):
        call(lambda: 1 / 0)
