"""The operation that lists the mistakes in a model's definition and in its authored samples."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from engine.definitions.loader import MODEL_FILE, load_model
from engine.errors import DefinitionError, NoTraitsError, Problem
from engine.planning.repeated_seeds import settle_seeds
from flows.api.openapi.document import OF_MODEL, describe_answers
from flows.api.routes.dependencies import find_own_model, get_storage
from flows.tools_server.answers import Mistake, ValidationAnswer

router = APIRouter()


@router.get("/models/{handle}/mistakes", responses=describe_answers(ValidationAnswer, *OF_MODEL, (403, "forbidden")))
def validate_model(request: Request, handle: Annotated[str, Depends(find_own_model)]) -> ValidationAnswer:
    """All mistakes of form in a model's files, or else of meaning, for a key that owns the namespace."""
    mistakes, skipped = list_mistakes(get_storage(request).models_uri, handle)
    return ValidationAnswer(handle=handle, valid=not mistakes, mistakes=mistakes, skipped=skipped)


def list_mistakes(models_uri: str, handle: str) -> tuple[list[Mistake], list[str]]:
    """The mistakes of a model; where there are none, what of it is legal and not read.

    Raises:
        StoreError: the model's folder cannot be read.
    """
    try:
        model = settle_seeds(load_model(models_uri, handle))
    except DefinitionError as error:
        return [_describe(problem) for problem in error.problems], []
    except NoTraitsError as error:
        file = f"{handle}/{MODEL_FILE}"
        return [Mistake(file=file, line=None, field="traits", message=str(error).removeprefix(f"{file}: "))], []
    return [], [f"{skipped.what}: {skipped.why}" for skipped in model.skipped]


def _describe(problem: Problem) -> Mistake:
    hint = f" Did you mean {problem.suggestion!r}?" if problem.suggestion else ""
    said = f"Found {problem.found}; allowed: {problem.allowed}.{hint}"
    return Mistake(file=problem.file, line=problem.line, field=problem.field, message=said)
