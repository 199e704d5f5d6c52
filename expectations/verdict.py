"""Reach the verdict on a run: the gate's results, with the findings of the choice and of its recheck."""

from dataclasses import replace
from functools import partial

from engine.asking.plan import nest_poles
from engine.choosing.diversity import list_diversity_texts, measure_diversity
from engine.choosing.findings import list_missing, list_rechecked, list_unseparated
from engine.choosing.run_state import RunState
from engine.domain.model import Existing
from engine.domain.samples import RunStamp
from engine.domain.verdict import Verdict
from engine.system.worker_process import Executor, run_here
from engine.text.embedding import Embedder
from expectations.gate import check_model


async def reach_verdict(
    state: RunState,
    stamp: RunStamp,
    existing: Existing,
    embedder: Embedder,
    run_in_worker: Executor = run_here,
    proposes: bool = False,
    strict: bool = False,
) -> Verdict:
    """Return the gate's verdict over the run's rows and the existing samples.

    Args:
        proposes: whether a passed set waits for a person's decision.
        strict: whether inseparable poles are critical.
    """
    plan = state.plan
    await embedder.embed_ahead(list_diversity_texts(state), run_in_worker)
    gate = partial(
        check_model,
        state.make_rows(stamp, state.choice.chosen),
        replace(plan.model, existing=existing),
        stamp.synth_type,
        run_id=stamp.run_id,
        quotas=plan.max_quota if plan.missing is None else nest_poles(plan.missing),
        diversity=measure_diversity(state, embedder),
    )
    verdict = await run_in_worker(gate)
    critical = [item for item in list_unseparated(state, "rejected", strict) if item.severity == "critical"]
    verdict = replace(verdict, findings=(*list_missing(state), *verdict.findings))
    verdict = replace(verdict, proposed=proposes and verdict.success and not critical)
    rechecked = list_rechecked(state, "rejected" if critical else verdict.status, strict)
    return replace(verdict, findings=(*verdict.findings, *rechecked))
