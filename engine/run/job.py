"""Build the job of a run from a request, and check its inputs before anything is paid."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from engine.asking.existing_sets import count_missing, list_outdated
from engine.asking.held_out import choose_pool, list_taken_subjects
from engine.asking.plan import Plan, make_plan
from engine.asking.prompts import prompts_version
from engine.asking.scenarios import NO_PROPOSAL, Proposal, ScenarioPool, choose_scenario_pool
from engine.asking.seed_variations import check_seeds, list_unusable_seeds
from engine.asking.topic_subjects import split_by_topic
from engine.definitions.effort import Level, choose_effort, load_level
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import load_model
from engine.definitions.own_suites import read_own_suites
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, Packs, load_packs
from engine.domain.definition import Pole
from engine.domain.language_tag import name_tag
from engine.domain.model import Effort, Existing, Model, SynthType
from engine.domain.run_request import RunRequest
from engine.errors import InputError, ModelNotFoundError
from engine.llm.batches.account import find_account
from engine.llm.embedded import embedded_models
from engine.llm.embedded.embedded_models import EMBEDDED, EmbeddedFile, choose_model, find_embedded, is_embedded
from engine.llm.endpoints import asks_decisions, check_prices, describe_endpoint
from engine.llm.replies.admin import count_requested
from engine.settings import Settings
from engine.store.existing import read_existing
from engine.store.proposals import list_all
from engine.store.store import check_writable, describe_sets, list_sets
from engine.text.language import decide_language


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """The inputs of a run, checked.

    ``missing`` are the quotas of a run that only fills up, by trait key and pole; None if every quota is the effort's.
    """

    model: Model
    synth_type: SynthType
    level: Level
    note: str = ""
    missing: Mapping[tuple[str, Pole], int] | None = None

    @property
    def is_complete(self) -> bool:
        """Return whether the job only fills up, and no exemplar is missing."""
        return self.missing is not None and not any(self.missing.values())


def load_job(settings: Settings, request: RunRequest, dry: bool = False) -> Job:
    """Return the job of a request, after a check of all its inputs. No model is asked.

    With ``refresh``, sets of the pool that were made for another definition count as gone. If the sets for the present
    definition are enough, nothing is missing.

    Args:
        dry: leave the sample store untouched (a run tries to write a file), and accept models without a price.

    Raises:
        NoTraitsError, NoSeedsError, DefinitionError, InputError: the user's input is wrong. Expectations that Great
            Expectations does not know are reported by ``expectations.own_suites``, not here.
        FrozenModelError: the model is not a draft, and the run would attach samples to it.
        ModelNotFoundError: the file of the embedded model, or of the model that began an unfinished plan, is missing.
        UnpricedError: the run has a limit on cost, and one of its models has no price.
        StoreError: the sample store cannot be read or written.
    """
    handle, only_lacking, refresh = request.handle, request.only_lacking, request.refresh
    pool = choose_pool(request.synth_type)
    model = load_model(settings.models_uri, handle)
    model = replace(model, own_suites=read_own_suites(settings, handle))
    if request.synth_type == "diversify":
        check_seeds(model)
        model = replace(model, skipped=(*model.skipped, *list_unusable_seeds(model)))
    if pool == "train":
        check_draft(settings.models_uri, handle)
    level, model_names = read_level(settings, choose_effort(request.effort, model.effort))
    if request.per_pole is not None:
        level = replace(level, exemplars_per_pole=request.per_pole, is_own_count=True)
    if model.questions:
        level = require_votes(level, model)
    if is_embedded(level.synth_model):
        level = resolve_model_file(settings, model, level, level.synth_model)
    if request.batch != "none":
        find_account(describe_endpoint(settings, level))
    if not dry:
        check_prices(settings, level)
        check_writable(settings.samples_uri)
    note = ""
    if refresh and (older := list_outdated(list_sets(settings.samples_uri, handle, pool), model)):
        model = replace(model, existing=Existing(replaces=tuple(stored.run_id for stored in older)))
        note = f"Replaces {describe_sets(older)} made for an older definition"
    missing = count_missing(settings.samples_uri, model, request.synth_type, level) if only_lacking or refresh else None
    if missing is not None and not only_lacking and min(missing.values()) == level.exemplars_per_pole:
        # Every exemplar is missing: the plan is the same as for a model without sets.
        missing = None
    existing = read_existing(settings.samples_uri, handle, settings.reviews_teach, model.existing.replaces)
    model = replace(model, existing=existing)
    return resume_job(settings, Job(model, request.synth_type, level, note, missing), model_names)


def read_level(settings: Settings, effort: Effort) -> tuple[Level, Sequence[str]]:
    """Return the level of an effort with the models of the settings, and the names of all its possible synth models.

    Raises:
        DefinitionError: the effort dial is wrong. ModelNotFoundError: the embedded model's file is missing.
    """
    model_names: list[str] = []

    def choose(names: Sequence[str]) -> str:
        model_names[:] = [settings.synth_model] if settings.synth_model else names
        return choose_model(model_names, settings)

    level = load_level(settings.effort_file, effort, choose)
    level = replace(level, judge_model=settings.judge_model or level.judge_model)
    if asks_decisions(settings, level.judge_model):
        # A decision model gives the same answer each time, so one vote is enough.
        level = replace(level, judge_votes=min(1, level.judge_votes))
    return level, model_names


def require_votes(level: Level, model: Model) -> Level:
    """Return the level with at least one vote on each text: a model with questions needs the chat judge's answers.

    Raises:
        InputError: the level has no chat judge to answer them.
    """
    if is_embedded(level.judge_model):
        raise InputError(
            f"{model.handle}: the questions in its model.yaml are answered by a chat judge, and the judge of effort "
            f"{level.effort} is {level.judge_model}, which answers none. Name one in EXEMPLARS_JUDGE_MODEL or in "
            "data/effort.yaml, or remove the questions"
        )
    return replace(level, judge_votes=max(1, level.judge_votes))


def resolve_model_file(settings: Settings, model: Model, level: Level, name: str) -> Level:
    """Return the level with an embedded model's file resolved: later downloads and removals do not change the choice.

    Raises:
        ModelNotFoundError: the file is missing. InputError: as ``check_written``.
    """
    file = find_embedded(name, settings)
    check_written(file, model)
    level = replace(level, synth_model=file.name if file.listed else name)
    return level.ask_one_text() if file.style == "plain" else level


def resume_job(settings: Settings, job: Job, model_names: Sequence[str]) -> Job:
    """Return the job with the embedded model that began its plan, if the plan is unfinished.

    A plan is finished once the store has a set of it, even a rejected one. A single file that the user names is used
    for an unfinished plan, too.

    Args:
        model_names: the synth models that the setting or the dial names.

    Raises:
        ModelNotFoundError: the file is no longer there. The message says how to resume and how to start a new plan.
        StoreError: the kept replies or the store cannot be read.
    """
    handle, chosen = job.model.handle, job.level.synth_model
    sha256 = find_embedded(chosen, settings).sha256 if is_embedded(chosen) else None
    has_choice = len(model_names) > 1 or EMBEDDED in model_names
    requests = count_requested(settings.replies_place, handle) if has_choice else {}
    if all(_read_sha256(identity) == sha256 for counts in requests.values() for identity in counts):
        return job
    # Planning takes a while, so it is done only if another file has given replies.
    plan_id = plan_job(job, load_packs(SCENARIOS_FOLDER), settings.seed).plan_id
    begun = [_read_sha256(identity) for identity, _ in requests.get(plan_id, Counter()).most_common()]
    sets = list_all(settings.samples_uri, handle, ("attached", "detached", "rejected"))
    if not begun or sha256 in begun or any(stored.manifest.get("plan_id") == plan_id for stored in sets):
        return job
    names = _map_present_files(model_names, settings)
    if (name := next((names[digest] for digest in begun if digest in names), None)) is None:
        raise ModelNotFoundError(_explain_missing_file(handle, begun[0], chosen, settings.embedded_dir))
    level = resolve_model_file(settings, job.model, job.level, name)
    note = (
        f"Resumes with {level.synth_model}, which began this plan. The next plan uses {chosen}; to begin this one "
        f"again with it, set EXEMPLARS_SYNTH_MODEL={chosen}"
    )
    return replace(job, level=level, note=". ".join(filter(None, (job.note, note))))


def check_written(file: EmbeddedFile, model: Model) -> None:
    """Check that an embedded model writes the language of the model's texts.

    Raises:
        InputError: it does not.
    """
    language = decide_language(model)
    if file.listed is not None and language.code not in file.listed.languages:
        supported = " and ".join(name_tag(code) for code in sorted(file.listed.languages))
        raise InputError(
            f"The texts of {model.handle} are to be in {language.name} ({language.why}), and the embedded model writes "
            f"{supported} only. Name a model that writes {language.name} in EXEMPLARS_SYNTH_MODEL, or another language "
            "in the field 'language' of its model.yaml"
        )


def plan_job(job: Job, packs: Packs, seed: int) -> Plan:
    """Return the plan of a job without scenarios that the synth model proposes."""
    return plan_with(job, prepare_scenarios(job, packs, NO_PROPOSAL)(), seed)


def prepare_scenarios(job: Job, packs: Packs, proposed: Proposal) -> partial[ScenarioPool]:
    """Return the choice of a job's scenarios as work that can be pickled; the work uses the encoder."""
    # The worker gets only drawn seeds, so the language is decided here, from all seeds.
    small = replace(job.model.without_stored(), language=decide_language(job.model).tag)
    return partial(_choose_scenarios, small, packs, proposed, list_taken_subjects(job.model, job.synth_type))


def plan_with(job: Job, scenario_pool: ScenarioPool, seed: int) -> Plan:
    """Return the plan of a job with these scenarios."""
    version = prompts_version(bool(job.model.texts.files))
    return make_plan(job.model, job.synth_type, job.level, scenario_pool, seed, version, job.missing)


def _read_sha256(identity: str) -> str:
    return identity.split(":")[1]


def _map_present_files(model_names: Sequence[str], settings: Settings) -> dict[str, str]:
    names: dict[str, str] = {}
    listed = [f"{EMBEDDED}/{known}" for known in embedded_models.list_embedded_models()]
    for name in (*listed, *filter(is_embedded, model_names)):
        with suppress(ModelNotFoundError, InputError):
            names.setdefault(find_embedded(name, settings).sha256, name)
    return names


def _explain_missing_file(handle: str, sha256: str, chosen: str, folder: str) -> str:
    known = {model.sha256: name for name, model in embedded_models.list_embedded_models().items()}.get(sha256)
    file, remedy = f"a GGUF file of SHA-256 {sha256}, which is missing", "Put it back where it was"
    if known is not None:
        file, remedy = f"{known}, whose file is not in {folder}", f"Get it: 'exemplars models get {known}'"
    return (
        f"An unfinished plan of {handle} was begun with {file}. {remedy}. To start again with another model, name it: "
        f"EXEMPLARS_SYNTH_MODEL={chosen}"
    )


def _choose_scenarios(model: Model, packs: Packs, proposed: Proposal, taken: Collection[str]) -> ScenarioPool:
    scenario_pool = choose_scenario_pool(model, packs, proposed, taken)
    if decide_language(model).encoder_supports_language:
        scenario_pool = split_by_topic(model, scenario_pool, packs, taken)
    return scenario_pool
