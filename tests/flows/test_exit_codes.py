import pytest
import typer
from pydantic import BaseModel, model_serializer

from flows.exit_codes import run_app


class Interrupted(BaseModel):
    @model_serializer
    def serialize(self) -> None:
        raise KeyboardInterrupt


def test_interrupt_that_pydantic_wraps_is_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    app.command()(lambda: Interrupted().model_dump())

    assert 130 == run_app(app, [], "it")
    assert ("", "exemplars: interrupted\n") == capsys.readouterr()
