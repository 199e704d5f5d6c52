"""The work of ``exemplars replay``: makes a run's set again from its kept replies, without Prefect, and compares it."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.progress import LoggedProgress
from engine.errors import ProviderError, ReplayError
from engine.report.costs import restore_bill
from engine.report.summary import make_sample_set
from engine.run.job import EarlierSets, load_job, plan_job, read_pools
from engine.run.pipeline import begin_rounds, walk_rounds
from engine.run.replay import (
    Comparison,
    check_endpoint,
    check_plan,
    compare_set,
    find_replayable,
    make_kept_gateways,
    restore_job,
    restore_review,
    restore_stamp,
)
from engine.settings import Settings
from engine.store.sample_set import SampleSet
from engine.store.store import StoredSet, write_set
from engine.text.embedding import SentenceEncoder
from expectations.checking import prepare_gate
from expectations.own_suites import check_own_suites


async def replay_run(settings: Settings, run_id: str, target: str | None = None) -> Comparison:
    """Makes a run's set again and compares it byte for byte with the one in the store. No model is called.

    Args:
        target: a folder or URI to write the set to, laid out like a sample store; None to compare only.

    Raises:
        InputError: there is no such run.
        ReplayError: what the set was made from has changed.
        StoreError: the store or the kept replies cannot be read.
    """
    stored = find_replayable(settings.locate(settings.samples_uri), run_id)
    with TemporaryDirectory() as folder:
        made = await remake_set(settings, stored, Path(folder))
    if target is not None:
        write_set(settings.locate(target), made)
    return compare_set(stored, made)


async def remake_set(settings: Settings, stored: StoredSet, folder: Path) -> SampleSet:
    """Makes the set of a run from its recorded inputs and its kept replies.

    Args:
        folder: where the sets that it began from are put as they were, until the set is made.
    """
    manifest = stored.manifest
    stamp, inputs = restore_stamp(manifest), manifest["inputs"]
    planned = EarlierSets(
        inputs["planned_beside"],
        inputs.get("removals_beside", {}),
        folder,
        inputs.get("proposed_beside", ()),
        inputs.get("refused", ()),
        inputs.get("reviewed", ()),
    )
    job = load_job(settings, stamp.handle, stamp.synth_type, stamp.effort, dry=True, earlier=planned)
    job = restore_job(job, stored)
    check_own_suites(job.model.own_suites)
    gateway, voting_judge = make_kept_gateways(settings, job.level)
    check_endpoint(manifest, gateway.endpoint)
    embedder = SentenceEncoder()
    try:
        rounds = await begin_rounds(job, inputs["seed"], gateway, embedder)
    except ProviderError:
        # Subjects are proposed for a definition. If it has changed, none are kept, and the plan id tells why.
        check_plan(manifest, plan_job(job, load_packs(SCENARIOS_FOLDER), inputs["seed"], embedder).plan_id)
        raise
    check_plan(manifest, rounds.plan.plan_id)
    place = rounds.plan.plan_id, rounds.plan.model.handle
    async with gateway.keeping(*place), voting_judge.keeping(*place):
        await walk_rounds(rounds, gateway, voting_judge, LoggedProgress(), inputs["rounds"])
    checked = replace(planned, runs=inputs["checked_beside"])
    model = read_pools(settings.locate(settings.samples_uri), rounds.plan.model, checked, settings.cache_place)
    bill = restore_bill(gateway.budget, manifest)
    bill = bill.after(job.taken_up.spent) if job.taken_up else bill
    verdict = replace(prepare_gate(rounds, stamp, model)(), proposed=stored.status == "proposed")
    return make_sample_set(rounds, stamp, verdict, gateway, bill, *restore_review(job, stored))


def describe_comparison(run_id: str, comparison: Comparison) -> str:
    """The result of a replay whose files are all the same, as a sentence.

    Raises:
        ReplayError: a file is different, or was altered in the store; the message names what has changed.
    """
    if not comparison.different:
        return f"{run_id}: {len(comparison.same)} files, byte for byte the same: {', '.join(comparison.same)}"
    if comparison.altered:
        others = [name for name in comparison.different if name not in comparison.altered]
        raise ReplayError(
            f"{run_id}: altered or gone from the store since the set was written: {', '.join(comparison.altered)}"
            + (f"; different as they are made now: {', '.join(others)}" if others else "")
            + f". `exemplars replay {run_id} --to FOLDER` writes the set as it is made now: put its files there instead"
        )
    changes = "; ".join(comparison.changes) or "none of code, prompts and packages"
    raise ReplayError(
        f"{run_id}: different: {', '.join(comparison.different)}"
        + (f"; the same: {', '.join(comparison.same)}" if comparison.same else "")
        + f". Changed since the run: {changes}. Replies that are no longer kept count as failed calls"
    )
