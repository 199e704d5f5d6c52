"""Select the models of a backfill, and find the models that already have its samples."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from engine.asking.existing_sets import count_missing, list_outdated
from engine.asking.held_out import choose_pool
from engine.asking.plan import digest_definition_and_samples
from engine.definitions.effort import choose_effort, load_level
from engine.definitions.lifecycle import DRAFTS, read_lifecycle
from engine.definitions.loader import list_handles, load_model
from engine.domain.model import BatchMode, Effort, Model, SynthType, check_handle
from engine.domain.run_request import RunRequest, check_choices
from engine.domain.verdict import SkipReason
from engine.errors import InputError
from engine.settings import Settings
from engine.store.sample_set import read_own_count
from engine.store.store import StoredSet, count_stored, list_replaced, list_sets, locate_pool


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """The parameters of a backfill; ``flows.backfill`` explains each field.

    ``done``: ids of the runs that an earlier start of the same backfill created.

    Raises:
        HandleError, InputError: a parameter is invalid.
    """

    handles: tuple[str, ...] = ()
    namespace: str | None = None
    glob: str | None = None
    only_lacking: bool = False
    synth_type: SynthType = "from_traits"
    effort: Effort | None = None
    force: bool = False
    done: frozenset[str] = field(default=frozenset(), repr=False)
    strict: bool = False
    models_at_once: int = 8
    part_size: int | None = None
    max_cost_usd: float | None = None
    per_pole: int | None = None
    refresh: bool = False
    batch: BatchMode = "none"

    def __post_init__(self) -> None:
        for handle in self.handles:
            check_handle(handle)
        check_choices(self.synth_type, self.effort, self.per_pole, self.batch)

    @property
    def names(self) -> bool:
        """Return whether the request names models, by handle, namespace or glob."""
        return bool(self.handles or self.namespace or self.glob)

    def ask_for(self, handle: str) -> RunRequest:
        """Return the request of one model's run."""
        return RunRequest.take({item.name: getattr(self, item.name) for item in fields(self)} | {"handle": handle})

    def to_parameters(self) -> dict[str, Any]:
        """Return the parameters of a flow run with the same request."""
        params = {**asdict(self), "handles": list(self.handles)}
        del params["done"]
        return params


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The reason for skipping a model, None if it needs a run; and counts of its attached sets, and their samples, made
    for an older definition. The counts are 0 for a model with frozen samples, since they cannot be replaced.
    """

    skip_reason: SkipReason | None = None
    older_sets: int = 0
    older_samples: int = 0


def list_selected(settings: Settings, request: BackfillRequest) -> tuple[str, ...]:
    """Return the selected handles, each once, explicit ones first; all of the catalogue if the request names none.

    An explicit handle without a model stays in the list: its run reports the mistake.

    Raises:
        InputError: the request names no models and sets neither ``only_lacking`` nor ``refresh``, no model matches
            the namespace or glob, or both ``force`` and ``refresh`` are set.
        StoreError: the catalogue cannot be read.
    """
    if not (request.names or request.only_lacking or request.refresh):
        raise InputError(
            "No models are selected: give handles, a namespace or a glob, or choose only_lacking, for all drafts "
            "that have fewer samples than the effort asks for"
        )
    if request.force and request.refresh:
        raise InputError(
            "force has no effect with refresh, which replaces only samples made for an older definition: leave one out"
        )
    matches = [handle for handle in list_handles(settings.models_uri) if _fits(handle, request)]
    if not request.handles and not matches and request.names:
        named = " and ".join(f"{name} {value!r}" for name in ("namespace", "glob") if (value := getattr(request, name)))
        raise InputError(f"no model of {settings.get_written('models_uri')} fits the {named}")
    return tuple(dict.fromkeys([*request.handles, *matches]))


def examine(settings: Settings, request: BackfillRequest, handle: str) -> ModelStatus:
    """Return whether to skip a model, and its outdated sets; an empty status for an invalid model, reported by its run.

    Raises:
        StoreError: the definition or the store cannot be read.
    """
    with suppress(InputError):
        is_frozen = read_lifecycle(settings.models_uri, handle).state not in DRAFTS
        if is_frozen and (request.only_lacking or request.refresh):
            return ModelStatus(SkipReason("It is not a draft, so its samples are frozen"))
        model = load_model(settings.models_uri, handle)
        sets = list_sets(settings.samples_uri, handle, choose_pool(request.synth_type))
        older = [] if is_frozen else list_outdated(sets, model)
        return ModelStatus(_find_skip_reason(settings, request, model, sets, older), len(older), count_stored(older))
    return ModelStatus()


def _find_skip_reason(
    settings: Settings, request: BackfillRequest, model: Model, sets: Sequence[StoredSet], older: Sequence[StoredSet]
) -> SkipReason | None:
    if request.only_lacking and _is_missing(settings, request, model):
        return None
    if request.refresh:
        pool = locate_pool(settings.samples_uri, model.handle, choose_pool(request.synth_type))
        if older or list_replaced(pool):
            return None
        enough = ", and as many of each pole as the effort asks for" if request.only_lacking else ""
        return SkipReason(f"It has no samples made for an older definition{enough}")
    if request.only_lacking:
        return SkipReason("It has as many samples of each pole as the effort asks for")
    attached = _find_attached(request, model, sets)
    reason = "It has a set for its definition, this synth type and this effort"
    return None if attached is None else SkipReason(reason, attached.run_id)


def _find_attached(request: BackfillRequest, model: Model, sets: Sequence[StoredSet]) -> StoredSet | None:
    """Return the model's newest attached set for its present definition and the request's synth type, effort and
    ``per_pole``; with ``force``, only a set of the runs in ``done``.
    """
    effort, digest = choose_effort(request.effort, model.effort), digest_definition_and_samples(model)
    for stored in reversed(sets):
        manifest = stored.manifest
        if (manifest.get("synth_type"), manifest.get("effort")) != (request.synth_type, effort):
            continue
        if request.force and stored.run_id not in request.done:
            continue
        if (manifest["inputs"]["definition"], read_own_count(manifest)) == (digest, request.per_pole):
            return stored
    return None


def _fits(handle: str, request: BackfillRequest) -> bool:
    if not request.names:
        return True
    in_namespace = request.namespace is not None and handle.partition(".")[0] == request.namespace
    return in_namespace or (request.glob is not None and fnmatchcase(handle, request.glob))


def _is_missing(settings: Settings, request: BackfillRequest, model: Model) -> bool:
    level = load_level(settings.effort_file, choose_effort(request.effort, model.effort))
    level = replace(level, exemplars_per_pole=request.per_pole or level.exemplars_per_pole)
    return any(count_missing(settings.samples_uri, model, request.synth_type, level).values())
