"""Step 2, plan: which exemplars to ask for, and the subjects that the synth model proposes where it can."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.generate import propose_subjects
from engine.held_out import keep_apart
from engine.job import SCENARIOS_FOLDER, Job
from engine.plan import make_plan
from engine.prompting import prompts_version
from engine.rounds import Rounds
from engine.scenario import choose_lists, load_packs
from engine.screen import Screener


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
async def plan(job: Job, asker: Asker, seed: int) -> Rounds:
    """The rounds of a job, none of them begun; proposed subjects are kept replies and an input of the plan."""
    packs = load_packs(SCENARIOS_FOLDER)
    version = prompts_version()
    draft = make_plan(job.model, job.synth_type, job.level, choose_lists(job.model, packs), seed, version)
    with asker.keeping(draft.plan_id):
        proposed = await propose_subjects(draft, asker)
    lists = keep_apart(
        choose_lists(job.model, packs, proposed), job.model, job.synth_type, packs, job.level.exemplars_per_pole
    )
    made = make_plan(job.model, job.synth_type, job.level, lists, seed, version)
    plain = asker.endpoint.style == "plain"
    logger = get_run_logger()
    logger.info("Plan %s: %d a pole, subjects of %r, %d proposed", made.plan_id, made.wanted, lists.pack, len(proposed))
    return Rounds(made, Screener(made, use_lengths=not plain), draws=asker.endpoint.draws)
