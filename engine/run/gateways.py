"""Open the models that a run asks: the gateway to its synth model, and the chat judge."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

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

# An embedded model shares this machine with other work: a slow reply does not mean that none will come.
LEAST_EMBEDDED_CALL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class LanguageModels:
    """The open models of a run; ``voting_judge`` is None if the level has no judge."""

    gateway: ModelGateway
    voting_judge: VotingJudge | None


@asynccontextmanager
async def open_models(
    settings: Settings,
    level: Level,
    progress: Progress,
    models: SharedModels,
    rate_limiter: RateLimiter | None = None,
) -> AsyncIterator[LanguageModels]:
    """Open the run's synth model and its chat judge for the block, with one budget for both.

    The judge is first asked after texts were paid for, so its key is checked here.

    Args:
        models: servers, throttles and shared budget, which other runs of this process may use too.
        rate_limiter: for calls to hosted models; None if no rate is set.

    Raises:
        ProviderError: the synth model is not available. For the judge: ModelNotFoundError if litellm does not know its
            provider, CredentialsError if no key is set.
    """
    budget = RunBudget(settings.concurrency, limit_cost(settings, level), models.budget)
    async with AsyncExitStack() as stack:

        def open_gateway(endpoint: Endpoint, limiter: RateLimiter | None) -> ModelGateway:
            client, throttle = make_client(settings, endpoint), models.find_throttle(endpoint)
            stack.push_async_callback(client.close)
            replies_place, redacting = settings.replies_place, RedactingClient(client)
            return ModelGateway(redacting, replies_place, progress, budget, rate_limiter=limiter, throttle=throttle)

        if is_embedded(level.synth_model):
            gateway = open_gateway(await models.serve(level.synth_model, settings), None)
        else:
            gateway = open_gateway(describe_endpoint(settings, level), rate_limiter)
        judge = describe_judge(settings, level)
        # If the judge is the synth model itself, the first call of the run checks the key.
        if judge and (judge.model, judge.api_base) != (level.synth_model, settings.synth_api_base):
            LitellmClient(judge, settings.call_timeout_seconds).check_key()
        voting_judge = VotingJudge(open_gateway(judge, rate_limiter), level.judge_votes) if judge else None
        yield LanguageModels(gateway, voting_judge)


def make_client(settings: Settings, endpoint: Endpoint) -> LitellmClient:
    """Return the client of an endpoint. It waits for a reply as long as the settings say; longer if it is embedded."""
    least_seconds = LEAST_EMBEDDED_CALL_SECONDS if is_embedded(endpoint.name) else 0.0
    return LitellmClient(endpoint, max(settings.call_timeout_seconds, least_seconds))
