"""Step 6, check: the gate over what would be attached, together with what is attached."""

from dataclasses import replace

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.rounds import Rounds
from engine.samples import SAMPLE_SCHEMA, RunStamp, make_sample_table
from engine.settings import Settings
from engine.store import list_sets, read_attached
from engine.summary import make_kept_rows, make_whole_frame, measure_variety
from engine.verdict import Verdict
from expectations.gate import check_rows


@task(name="check", cache_policy=NO_CACHE, persist_result=False)
def check(settings: Settings, rounds: Rounds, stamp: RunStamp) -> Verdict:
    """The gate's verdict over the run's rows and over all that is attached by now, another run's new set included."""
    rows = make_kept_rows(rounds, stamp)
    sets = list_sets(settings.locate(settings.samples_uri), stamp.handle, "train")
    model = replace(rounds.plan.model, attached=read_attached(sets))
    traits = [trait.key for trait in model.traits]
    verdict = check_rows(
        run=make_sample_table(rows).to_pandas(),
        whole=make_whole_frame(model, rows),
        traits=traits,
        wanted=rounds.plan.wanted,
        run_id=stamp.run_id,
        columns=SAMPLE_SCHEMA.names,
        variety=measure_variety(rounds, rounds.embedder),
    )
    logger = get_run_logger()
    logger.info("The gate %s", "passed" if verdict.success else "failed: " + " ".join(verdict.failed))
    for warning in verdict.warnings:
        logger.warning("%s", warning)
    return verdict
