"""Refusals as a client of the tools reads them: the code and the message, as the HTTP API has them, and the details."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2
from fastmcp.exceptions import ValidationError

from engine.errors import (
    ExemplarsError,
    FrozenModelError,
    InputError,
    NoSeedsError,
    NoTraitsError,
    OrchestratorError,
    ProviderError,
)
from flows.api.routes.model_status import hide_folders

# The first that fits. Whatever is no error of these kinds is wrong on our side, and the log has it.
CODES: Mapping[type[ExemplarsError], str] = {
    NoTraitsError: "no_traits",
    NoSeedsError: "no_seed_samples",
    FrozenModelError: "model_not_draft",
    OrchestratorError: "orchestrator_unavailable",
    InputError: "invalid_request",
    ProviderError: "invalid_request",
}


class RefusedError(ValidationError):
    """A refusal: a code of the contract, a sentence, and details."""

    def __init__(self, code: str, message: str, details: object = None) -> None:
        told = f"\n{json.dumps(details, ensure_ascii=False)}" if details else ""
        # The HTTP API has its own line for it.
        super().__init__(f"{code}: {message}{told}", log_level=logging.DEBUG)


async def refuse_response(response: httpx2.Response) -> None:
    """Refuses what the HTTP API has refused."""
    if response.is_error:
        await response.aread()
        error = response.json()["error"]
        raise RefusedError(error["code"], error["message"], error["details"])


@contextmanager
def refusing() -> Iterator[None]:
    """Refuses what the engine refuses inside the block."""
    try:
        yield
    except tuple(CODES) as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        raise RefusedError(code, f"{hide_folders(str(error)).rstrip('.')}.") from error
