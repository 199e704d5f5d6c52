"""Step 2, plan: which exemplars to ask for, and the subjects that the synth model proposes where it can."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.embedding import SentenceEncoder
from engine.job import Job
from engine.rounds import Rounds
from engine.walk import begin_rounds


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
async def plan(job: Job, asker: Asker, seed: int) -> Rounds:
    """The rounds of a job, none of them begun."""
    rounds = await begin_rounds(job, seed, asker, SentenceEncoder())
    made = rounds.plan
    get_run_logger().info("Plan %s: %d a pole, subjects of %r", made.plan_id, made.wanted, made.lists.pack)
    return rounds
