"""The models that a run asks: the gateway to its synth model, and the chat judge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.definitions.effort import Level
from engine.domain.progress import Progress
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.redaction import RedactingClient
from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_models import is_embedded
from engine.llm.endpoints import describe_endpoint, describe_judge, limit_cost
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.metered import RateLimiter
from engine.llm.gateway.model_gateway import ModelGateway, SharedModels
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings

# It runs on this machine, at whatever speed that leaves it: a slow reply is no sign that none will come.
LEAST_EMBEDDED_CALL_SECONDS = 600.0


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    level: Level,
    progress: Progress,
    models: SharedModels,
    rate_limiter: RateLimiter | None = None,
) -> AsyncIterator[ModelGateway]:
    """The gateway to the run's synth model inside the block.

    Args:
        models: what is asked through, which other runs of this process may share.
        rate_limiter: for calls to hosted models; None where no rate is set.

    Raises:
        ProviderError: the model cannot be had.
    """
    budget = RunBudget(settings.concurrency, limit_cost(settings, level), models.budget)
    if is_embedded(level.synth_model):
        endpoint, rate_limiter = await models.serve(level.synth_model, settings.embedded_place), None
    else:
        endpoint = describe_endpoint(settings, level)
    async with _open(endpoint, settings, progress, budget, rate_limiter, models) as gateway:
        yield gateway


@asynccontextmanager
async def open_voting_judge(
    settings: Settings,
    level: Level,
    progress: Progress,
    budget: RunBudget,
    models: SharedModels,
    rate_limiter: RateLimiter | None = None,
) -> AsyncIterator[VotingJudge]:
    """The chat judge, within the budget of the run; it casts no votes where the level has no judge.

    It is asked when the first texts are paid for, so whether it has a key is found out here.

    Raises:
        ModelNotFoundError: litellm does not know the judge model's provider. CredentialsError: no key is set.
    """
    endpoint = describe_judge(settings, level)
    if endpoint is None:
        yield VotingJudge(None, 0)
        return
    # Where it is the synth model itself, the first call of the run tells.
    if (endpoint.model, endpoint.api_base) != (level.synth_model, settings.synth_api_base):
        LitellmClient(endpoint, settings.call_timeout_seconds).check_key()
    async with _open(endpoint, settings, progress, budget, rate_limiter, models) as gateway:
        yield VotingJudge(gateway, level.judge_votes)


@asynccontextmanager
async def _open(
    endpoint: Endpoint,
    settings: Settings,
    progress: Progress,
    budget: RunBudget,
    rate_limiter: RateLimiter | None,
    models: SharedModels,
) -> AsyncIterator[ModelGateway]:
    least_seconds = LEAST_EMBEDDED_CALL_SECONDS if is_embedded(endpoint.name) else 0.0
    client = LitellmClient(endpoint, max(settings.call_timeout_seconds, least_seconds))
    redacting, throttle = RedactingClient(client), models.find_throttle(endpoint)
    try:
        yield ModelGateway(
            redacting, settings.replies_place, progress, budget, rate_limiter=rate_limiter, throttle=throttle
        )
    finally:
        await client.close()
