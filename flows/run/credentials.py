"""The keys of hosted models that are kept in Prefect, as blocks of the type Secret."""

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from engine.definitions.effort import Level
from engine.errors import CredentialsError, OrchestratorError
from engine.llm.embedded.embedded_models import is_embedded
from engine.llm.endpoints import describe_judge
from engine.settings import Settings
from flows.observability.logs import Logger

BLOCK_TYPE = "secret"
SYNTH_BLOCK, JUDGE_BLOCK = "exemplars-synth-api-key", "exemplars-judge-api-key"


async def add_keys(settings: Settings, level: Level, logger: Logger) -> Settings:
    """The settings, with a key from its Secret block where none is set and a hosted model will be asked.

    Raises:
        CredentialsError: a block that holds no text.
        OrchestratorError: Prefect does not answer.
    """
    wanted = {}
    if settings.synth_api_key is None and not is_embedded(level.synth_model):
        wanted["synth_api_key"] = SYNTH_BLOCK
    if settings.judge_api_key is None and describe_judge(settings, level) is not None:
        wanted["judge_api_key"] = JUDGE_BLOCK
    if not wanted:
        return settings
    async with get_client() as client:
        found = {name: await _read_secret(client, block, logger) for name, block in wanted.items()}
    return settings.model_copy(update={name: key for name, key in found.items() if key is not None})


async def _read_secret(client: PrefectClient, name: str, logger: Logger) -> SecretStr | None:
    """The text of a block; None where there is none, or where it may not be read."""
    try:
        block = await client.read_block_document_by_name(name, BLOCK_TYPE, include_secrets=True)
    except ObjectNotFound:
        return None
    except httpx.HTTPStatusError as error:
        logger.warning("The block %s cannot be read: status %d", name, error.response.status_code)
        return None
    except httpx.HTTPError as error:
        raise OrchestratorError(f"The block {name} cannot be read, Prefect does not answer: {error}") from error
    value = block.data.get("value")
    if not isinstance(value, str) or not value.strip():
        raise CredentialsError(f"The block {name} holds no text. Put the key into it as it is, without quotes")
    return SecretStr(value.strip())
