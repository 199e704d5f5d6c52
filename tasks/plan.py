"""Step 2, plan: choose the exemplars to request, with subjects from the synth model if it can propose them."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.run_state import RunState
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job
from engine.run.planning import begin_run
from engine.settings import Settings
from engine.system.worker_process import Executor, run_here
from engine.text.embedding import Embedder


@task(name="plan", task_run_name="plan {job.level.effort}", cache_policy=NO_CACHE, persist_result=False)
async def plan(
    settings: Settings, job: Job, gateway: ModelGateway, embedder: Embedder, run_in_worker: Executor = run_here
) -> RunState:
    """Return the state of a job's run before its first round."""
    state = await begin_run(job, settings.seed, gateway, embedder, run_in_worker)
    result = state.plan
    fields = ", ".join(field.name for field in result.scenario_pool.fields)
    get_run_logger().info("Plan %s: %d a pole, subjects of %s", result.plan_id, result.max_quota, fields)
    return state
