import pytest
import typer
from pydantic import BaseModel, model_serializer

from flows.exit_codes import run_app


class Interrupted(BaseModel):
    @model_serializer
    def serialize(self) -> None:
        raise KeyboardInterrupt


class Outer(BaseModel):
    inner: Interrupted = Interrupted()


@pytest.mark.parametrize("model", [Interrupted(), Outer()])
def test_interrupt_that_pydantic_wraps_is_an_interrupt(capsys: pytest.CaptureFixture[str], model: BaseModel) -> None:
    app = typer.Typer()

    @app.command()
    def serialize() -> None:
        model.model_dump()

    assert 130 == run_app(app, [], "it")
    assert ("", "exemplars: interrupted\n") == capsys.readouterr()
