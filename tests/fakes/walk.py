"""A run without Prefect: the job of the workspace, from its first call to its last round."""

from engine.run.gateways import open_gateway, open_voting_judge
from engine.run.job import load_job
from engine.run.pipeline import begin_rounds, walk_rounds
from engine.selection.rounds import Rounds
from engine.settings import read_settings
from engine.text.embedding import CachingEmbedder

from .client import HeardProgress
from .workspace import HANDLE


async def walk_job(embedder: CachingEmbedder) -> tuple[Rounds, float]:
    """The rounds of the workspace's model at ``low``, all taken, and the dollars that were spent."""
    settings, progress = read_settings(), HeardProgress()
    job = load_job(settings, HANDLE, "from_traits", "low")
    async with (
        open_gateway(settings, job.level, progress) as gateway,
        open_voting_judge(settings, job.level, progress, gateway.budget) as judge,
    ):
        rounds = await begin_rounds(job, settings.seed, gateway, embedder)
        place = rounds.plan.plan_id, HANDLE
        async with gateway.keeping(*place), judge.keeping(*place):
            await walk_rounds(rounds, gateway, judge, progress)
        return rounds, gateway.budget.spent_usd
