"""The operation that lists the mistakes in a model's definition and in its authored samples, and hints."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from engine.authoring.validation import validate_models
from engine.definitions.loader import MODEL_FILE
from engine.definitions.own_suites import read_model_suite
from engine.errors import Problem
from flows.api.openapi.document import OF_MODEL, describe_answers
from flows.api.routes.dependencies import find_own_model, get_storage
from flows.tools_server.answers import Mistake, ValidationAnswer

router = APIRouter()


@router.get("/models/{handle}/mistakes", responses=describe_answers(ValidationAnswer, *OF_MODEL, (403, "forbidden")))
def validate_model(request: Request, handle: Annotated[str, Depends(find_own_model)]) -> ValidationAnswer:
    """All mistakes of form in a model's files, or else of meaning, or else of its own expectations, and hints.

    For a key that owns the namespace. As `exemplars validate`, without the hints for which texts would be embedded.
    """
    models_uri = get_storage(request).models_uri

    def check_suite(handle: str) -> None:
        if suites := read_model_suite(models_uri, handle):
            # Great Expectations takes seconds.
            from expectations.own_suites import check_own_suites

            check_own_suites(suites)

    [found] = validate_models(models_uri, [handle], check_suite)
    file = f"{handle}/{MODEL_FILE}"
    mistakes = [_describe(problem) for problem in found.mistakes]
    if found.refusal:
        mistakes.append(Mistake(file=file, line=None, field="traits", message=found.refusal.removeprefix(f"{file}: ")))
    return ValidationAnswer(
        handle=handle,
        valid=found.is_valid,
        mistakes=mistakes,
        hints=[str(hint) for hint in found.hints],
        skipped=[f"{skipped.what}: {skipped.why}" for skipped in found.skipped],
    )


def _describe(problem: Problem) -> Mistake:
    hint = f" Did you mean {problem.suggestion!r}?" if problem.suggestion else ""
    said = f"Found {problem.found}; allowed: {problem.allowed}.{hint}"
    return Mistake(file=problem.file, line=problem.line, field=problem.field, message=said)
