"""Replay: a set is made again from the kept replies alone, and compared with the one in the store."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.definitions.effort import Level
from engine.domain.model import digest_text
from engine.domain.progress import LoggedProgress
from engine.domain.samples import RunStamp
from engine.errors import InputError, ReplayError, RequestRefusedError, StoreError
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.client import LitellmClient
from engine.llm.embedded_models import EMBEDDED, is_embedded
from engine.llm.endpoints import describe_endpoint, describe_judge
from engine.llm.redaction import redact_credentials
from engine.llm.request import Endpoint, Reply, Request
from engine.report.summary import Review, list_versions
from engine.run.job import Job
from engine.run.taken_up import PersonReview, read_quotas, take_up
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings
from engine.store.layout import DETACHED, MANIFEST, REJECTED, SAMPLES
from engine.store.sample_set import SampleSet, render_detached, render_files, unseal
from engine.store.set_versions import repeat_removals
from engine.store.store import StoredSet, find_set
from engine.system.filesystem import read_bytes


class KeptRepliesClient:
    """A client that makes no calls: a reply that is not kept is missing, like that of a call that failed for good."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def complete(self, request: Request) -> Reply:
        """Never a reply.

        Raises:
            RequestRefusedError: always.
        """
        raise RequestRefusedError("this reply is not kept, and a replay asks for none")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The files of a set made again: which are the same byte for byte, and what has changed in how they are made.

    A file is the same if it is as its manifest says and as it is made again; ``altered`` are those of the different
    ones that are not, or no longer, as the manifest says.
    """

    same: tuple[str, ...]
    different: tuple[str, ...]
    altered: tuple[str, ...]
    changes: tuple[str, ...]


def find_replayable(samples_uri: str, run_id: str) -> StoredSet:
    """The stored set of a run, with the inputs that it was made from.

    Raises:
        InputError: there is none in the store, or it is from a version that did not record its inputs.
        StoreError: the store cannot be read.
    """
    stored = find_set(samples_uri, run_id)
    if stored is None:
        raise InputError(
            f"No set of run {run_id!r} is in {samples_uri}. A run id is the last part of a set's folder, run=<run id>; "
            "EXEMPLARS_SAMPLES_URI says where to look"
        )
    if stored.status == "proposed" and stored.manifest["review"]["number"] > 1:
        raise InputError(f"The set of run {run_id} is proposed anew: it can be made again once it is attached")
    if stored.status == "rejected" and stored.manifest.get("review"):
        raise InputError(f"The set of run {run_id} was proposed, and rejected by a review: there is none to make again")
    if "inputs" not in stored.manifest:
        raise InputError(f"{stored.folder} does not say what it was made from, so it cannot be made again")
    return stored


def restore_job(job: Job, stored: StoredSet) -> Job:
    """The job at the level and with the quotas that the run had, whatever the effort file says now.

    Of the author's suites it has those that the run had, as they are now. That of a reviewed set begins with its
    proposal.

    Raises:
        ReplayError: a set that the run was planned or checked beside is no longer in the store.
    """
    manifest, inputs = stored.manifest, stored.manifest["inputs"]
    beside = {*job.model.stored_runs, *(run for run, _ in job.model.proposed_digests)}
    if gone := sorted({*inputs["planned_beside"], *inputs.get("proposed_beside", ())} - beside):
        raise ReplayError(
            f"Run {manifest['run_id']} cannot be made again: it was planned beside the sets of {', '.join(gone)}, "
            "which are no longer in the store"
        )
    # A trait that the definition did not have then changes the plan's id, which tells of it.
    lacking = read_quotas(inputs, job.model)
    review, level = manifest.get("review", {}), Level(**inputs["level"])
    had = inputs.get("expectations", {})
    model = replace(job.model, own_suites=tuple(suite for suite in job.model.own_suites if suite.name in had))
    if "proposal" not in review:
        return Job(model, job.synth_type, level, lacking=lacking)
    files = {**manifest["files"], REJECTED: {"rows": review["rejected_before"]}}
    earlier = replace(stored, manifest={**manifest, **review["proposal"], "files": files})
    word = PersonReview(left_out=tuple(review["left_out"]), other_pole=tuple(review["other_pole"]), why=review["why"])
    return Job(model, job.synth_type, level, lacking=lacking, taken_up=take_up(earlier, word, model))


def restore_review(job: Job, stored: StoredSet) -> Review:
    """What the manifest says of a review, and the files of the proposal that stay in the set."""
    said = (
        {name: stored.manifest["review"][name] for name in ("until", "number")} if stored.status == "proposed" else {}
    )
    if job.taken_up is None:
        return said, {}
    return {**job.taken_up.entry, **said}, {} if said else job.taken_up.carried


def check_endpoint(manifest: Mapping[str, Any], endpoint: Endpoint) -> None:
    """Checks that the synth model, and its address, are those that answered.

    Raises:
        ReplayError: they are not, so that none of the kept replies would be found.
    """
    if digest_text(endpoint.identity) != manifest["inputs"]["endpoint"]:
        remedy = "Set EXEMPLARS_SYNTH_API_BASE as it was for the run"
        if is_embedded(endpoint.name):
            remedy = "Put back the file that it was made with, and set EXEMPLARS_SYNTH_STYLE as it was for the run"
        raise ReplayError(
            f"Run {manifest['run_id']} cannot be made again: its replies are not those of {endpoint.name} "
            f"{f'at {redact_credentials(endpoint.api_base)}' if endpoint.api_base else 'as it is found now'}. {remedy}"
        )


def restore_stamp(manifest: Mapping[str, Any]) -> RunStamp:
    """What all rows of the run have in common."""
    return RunStamp(
        run_id=manifest["run_id"],
        handle=manifest["handle"],
        synth_type=manifest["synth_type"],
        effort=manifest["effort"],
        created_at=datetime.fromisoformat(manifest["created_at"]),
    )


def make_kept_gateways(settings: Settings, level: Level) -> tuple[ModelGateway, VotingJudge]:
    """The gateway and the chat judge of a replay, which answer from the kept replies alone."""
    budget = RunBudget(settings.concurrency)
    if level.synth_model == EMBEDDED:
        # Of a version that knew no other.
        level = replace(level, synth_model=f"{EMBEDDED}/smollm2-135m")
    gateway = _make_gateway(describe_endpoint(settings, level), settings, budget)
    judge = describe_judge(settings, level)
    return gateway, VotingJudge(_make_gateway(judge, settings, budget), level.judge_votes) if judge else VotingJudge(
        None, 0
    )


def check_plan(manifest: Mapping[str, Any], plan_id: str) -> None:
    """Checks that what is there now gives the plan that the run had.

    Raises:
        ReplayError: it does not, so that none of the kept replies would be found.
    """
    if plan_id == manifest["plan_id"]:
        return
    changes = describe_changes(manifest)
    said = (
        "; ".join(changes) if changes else "none in code, prompts or packages: look at model.yaml and the effort file"
    )
    raise ReplayError(
        f"Run {manifest['run_id']} cannot be made again: it was planned as {manifest['plan_id']}, and the same request "
        f"plans {plan_id} now. The model's definition, its samples, the effort file, the lists of subjects or the "
        f"prompts have changed since. Changes: {said}"
    )


def describe_changes(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What has another version now than when the set was made, a phrase each."""
    then, now = manifest.get("versions", {}), list_versions()
    return tuple(
        f"{name} {then.get(name, 'unknown')} then, {now.get(name, 'none')} now"
        for name in dict.fromkeys((*then, *now))
        if then.get(name) != now.get(name)
    )


def compare_set(stored: StoredSet, made: SampleSet) -> Comparison:
    """The set made again compared with the stored one, file by file.

    What was taken off the stored one is taken off it too, and a detached one is compared as it would be detached.
    """
    files = render_files(made)
    files = repeat_removals(files, stored.manifest)
    if stored.status == "detached" and SAMPLES in files:
        files[MANIFEST] = render_detached(unseal(files[MANIFEST]))
        files[DETACHED] = files.pop(SAMPLES)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != MANIFEST}
    expected = {name: entry["sha256"] for name, entry in stored.manifest["files"].items()}
    altered = tuple(name for name in expected if _digest_stored(stored, name) != expected[name])
    same = [name for name in expected if digests.get(name) == expected[name] and name not in altered]
    if unseal(files[MANIFEST]) == stored.manifest:
        same.append(MANIFEST)
    names: Sequence[str] = list(dict.fromkeys((*expected, *digests, MANIFEST)))
    different = tuple(name for name in names if name not in same)
    changes = (*describe_changes(stored.manifest), *_describe_suite_changes(stored.manifest["inputs"], made.inputs))
    return Comparison(tuple(same), different, altered, changes)


def _describe_suite_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yields a phrase for each suite of the author's that expects something else now than when the set was made."""
    digests = now.get("expectations", {})
    for name, digest in then.get("expectations", {}).items():
        if name not in digests:
            yield f"the suite {name!r} of the author's is gone"
        elif digests[name] != digest:
            yield f"the suite {name!r} of the author's expects something else"


def _digest_stored(stored: StoredSet, name: str) -> str | None:
    """The digest of a file as it lies in the store; None if it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(stored.file(name))).hexdigest()
    except (FileNotFoundError, StoreError):
        return None


def _make_gateway(endpoint: Endpoint, settings: Settings, budget: RunBudget) -> ModelGateway:
    """A gateway of kept replies; an embedded model needs no server for it."""
    if not is_embedded(endpoint.name):
        endpoint = LitellmClient(endpoint, settings.call_timeout_seconds).endpoint
    return ModelGateway(KeptRepliesClient(endpoint), settings.replies_place, LoggedProgress(), budget, attempts=1)
