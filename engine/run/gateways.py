"""The models that a run asks: the gateway to its synth model, and the chat judge."""

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

# It runs on this machine, at whatever speed that leaves it: a slow reply is no sign that none will come.
LEAST_EMBEDDED_CALL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class LanguageModels:
    """The models that a run asks, open; no judge where the level has none."""

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
    """The run's synth model and its chat judge inside the block, within one budget.

    The judge is asked when the first texts are paid for, so whether it has a key is found out here.

    Args:
        models: what is asked through, which other runs of this process may share.
        rate_limiter: for calls to hosted models; None where no rate is set.

    Raises:
        ProviderError: the model cannot be had; of the judge a ModelNotFoundError, where litellm does not know its
            provider, or a CredentialsError, where no key is set.
    """
    budget = RunBudget(settings.concurrency, limit_cost(settings, level), models.budget)
    async with AsyncExitStack() as stack:

        def open_gateway(endpoint: Endpoint, limiter: RateLimiter | None) -> ModelGateway:
            client, throttle = make_client(settings, endpoint), models.find_throttle(endpoint)
            stack.push_async_callback(client.close)
            kept_in, redacting = settings.replies_place, RedactingClient(client)
            return ModelGateway(redacting, kept_in, progress, budget, rate_limiter=limiter, throttle=throttle)

        if is_embedded(level.synth_model):
            gateway = open_gateway(await models.serve(level.synth_model, settings), None)
        else:
            gateway = open_gateway(describe_endpoint(settings, level), rate_limiter)
        judge = describe_judge(settings, level)
        # Where it is the synth model itself, the first call of the run tells.
        if judge and (judge.model, judge.api_base) != (level.synth_model, settings.synth_api_base):
            LitellmClient(judge, settings.call_timeout_seconds).check_key()
        voting_judge = VotingJudge(open_gateway(judge, rate_limiter), level.judge_votes) if judge else None
        yield LanguageModels(gateway, voting_judge)


def make_client(settings: Settings, endpoint: Endpoint) -> LitellmClient:
    """The client of an endpoint, which waits for a reply as long as the settings say, and longer for embedded ones."""
    least_seconds = LEAST_EMBEDDED_CALL_SECONDS if is_embedded(endpoint.name) else 0.0
    return LitellmClient(endpoint, max(settings.call_timeout_seconds, least_seconds))
