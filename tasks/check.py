"""Step 6, check: the gate over what would be attached, together with what is attached."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.held_out import make_sides_frame, turn_to_pool
from engine.job import read_pools
from engine.rounds import Rounds
from engine.samples import SAMPLE_SCHEMA, RunStamp, make_sample_table
from engine.settings import Settings
from engine.summary import make_kept_rows, make_whole_frame, measure_variety
from engine.verdict import Verdict
from expectations.gate import check_rows


@task(name="check", cache_policy=NO_CACHE, persist_result=False)
def check(settings: Settings, rounds: Rounds, stamp: RunStamp) -> Verdict:
    """The gate's verdict over the run's rows and all that is in the store by now, another run's new set included."""
    rows = make_kept_rows(rounds, stamp)
    synth_type = stamp.synth_type
    model = read_pools(settings.locate(settings.samples_uri), rounds.plan.model)
    traits = [trait.key for trait in model.traits]
    verdict = check_rows(
        run=make_sample_table(rows).to_pandas(),
        whole=make_whole_frame(turn_to_pool(model, synth_type), rows),
        traits=traits,
        wanted=rounds.plan.wanted,
        run_id=stamp.run_id,
        columns=SAMPLE_SCHEMA.names,
        variety=measure_variety(rounds, rounds.embedder),
        sides=make_sides_frame(model, synth_type, rows),
    )
    logger = get_run_logger()
    logger.info("The gate %s", "passed" if verdict.success else "failed: " + " ".join(verdict.failed))
    for warning in verdict.warnings:
        logger.warning("%s", warning)
    return verdict
