"""Step 2, plan: which exemplars to ask for, and the subjects that the synth model proposes where it can."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.embedding import SentenceEncoder
from engine.generate import propose_subjects
from engine.job import SCENARIOS_FOLDER, Job, plan_job
from engine.rounds import Rounds
from engine.scenario import load_packs
from engine.screen import Screener


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
async def plan(job: Job, asker: Asker, seed: int) -> Rounds:
    """The rounds of a job, none of them begun; proposed subjects are kept replies and an input of the plan."""
    packs = load_packs(SCENARIOS_FOLDER)
    embedder = SentenceEncoder()
    draft = plan_job(job, packs, seed, embedder)
    with asker.keeping(draft.plan_id):
        proposed = await propose_subjects(draft, asker)
    made = plan_job(job, packs, seed, embedder, proposed)
    plain = asker.endpoint.style == "plain"
    logger = get_run_logger()
    logger.info(
        "Plan %s: %d a pole, subjects of %r, %d proposed", made.plan_id, made.wanted, made.lists.pack, len(proposed)
    )
    return Rounds(made, Screener(made, use_lengths=not plain), asker.endpoint.draws, embedder, strict=plain)
