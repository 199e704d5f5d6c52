from collections.abc import Callable

import pytest
import typer
from pydantic import BaseModel, model_serializer
from pydantic_core import SchemaValidator, core_schema

from flows.exit_codes import run_app


class Interrupted(BaseModel):
    @model_serializer
    def serialize(self) -> None:
        raise KeyboardInterrupt


class Outer(BaseModel):
    inner: Interrupted = Interrupted()


class Member:
    @property
    def value(self) -> None:
        raise KeyboardInterrupt


def build_schema() -> None:
    SchemaValidator(core_schema.union_schema([core_schema.enum_schema(int, [Member()])]))


@pytest.mark.parametrize("work", [Interrupted().model_dump, Outer().model_dump, build_schema])
def test_interrupt_that_pydantic_wraps_is_an_interrupt(
    capsys: pytest.CaptureFixture[str], work: Callable[[], object]
) -> None:
    app = typer.Typer()

    @app.command()
    def serialize() -> None:
        work()

    assert 130 == run_app(app, [], "it")
    assert ("", "exemplars: interrupted\n") == capsys.readouterr()
