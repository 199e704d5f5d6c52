"""Step 2, plan: which exemplars to ask for, and the subjects that the synth model proposes where it can."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.rounds import Rounds
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.errors import BudgetError
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import estimate_calls
from engine.estimate.wording import explain_budget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job, plan_job
from engine.run.pipeline import begin_rounds
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings
from engine.system.worker_process import RunHeavy, run_here
from engine.text.embedding import SentenceEncoder


@task(name="plan", task_run_name="plan {job.level.effort}", cache_policy=NO_CACHE, persist_result=False)
async def plan(
    settings: Settings,
    job: Job,
    gateway: ModelGateway,
    voting_judge: VotingJudge,
    run_heavy: RunHeavy = run_here,
) -> Rounds:
    """The rounds of a job, none of them begun.

    Raises:
        BudgetError: the limit is too low to ask for subjects; the message estimates what the run would cost.
    """
    budget, embedder = gateway.budget, SentenceEncoder()
    try:
        rounds = await begin_rounds(job, settings.seed, gateway, embedder, run_heavy)
    except BudgetError as error:
        draft = plan_job(job, load_packs(SCENARIOS_FOLDER), settings.seed)
        expected = estimate_calls(list_calls(draft, gateway.endpoint, voting_judge.endpoint), budget.max_cost_usd)
        raise explain_budget(error, expected, budget.spent_usd) from error
    made = rounds.plan
    about = ", ".join(field.name for field in made.scenario_pool.fields)
    get_run_logger().info("Plan %s: %d a pole, subjects of %s", made.plan_id, made.wanted, about)
    return rounds
