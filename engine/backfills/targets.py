"""Which models a backfill is about, and which of them have what it would make already."""

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
    """What a backfill was asked for; ``flows.backfill`` explains each field.

    ``done`` are the ids of the runs that an earlier start of the same backfill has made.

    Raises:
        HandleError, InputError: it is nothing that could be asked for.
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
        """Whether it names models, by handle, namespace or glob."""
        return bool(self.handles or self.namespace or self.glob)

    def ask_for(self, handle: str) -> RunRequest:
        """What the run of one of the models is asked for."""
        return RunRequest.take({item.name: getattr(self, item.name) for item in fields(self)} | {"handle": handle})

    def to_parameters(self) -> dict[str, Any]:
        """The parameters of a flow run that is asked for the same."""
        asked = {**asdict(self), "handles": list(self.handles)}
        del asked["done"]
        return asked


@dataclass(frozen=True, slots=True)
class Standing:
    """Why a model is passed over, None where it has something to do; and how many attached sets, and samples in them,
    it has that were made for an older definition. Of one that takes no samples these are 0: it cannot have them anew.
    """

    skip_reason: SkipReason | None = None
    older_sets: int = 0
    older_samples: int = 0


def list_selected(settings: Settings, request: BackfillRequest) -> tuple[str, ...]:
    """The handles that a selection names, each once, given ones first; all of the catalogue where it names none.

    A handle of no model is among them: its run reports that.

    Raises:
        InputError: neither is any model named nor are only lacking ones wanted, or nothing fits what is named, or
            both ``force`` and ``refresh`` are asked for.
        StoreError: the catalogue cannot be read.
    """
    if not (request.names or request.only_lacking or request.refresh):
        raise InputError(
            "say which models are meant: give handles, a namespace or a glob, or choose only lacking ones, for all "
            "drafts that have less than the effort asks for"
        )
    if request.force and request.refresh:
        raise InputError(
            "force has no effect beside refresh, which makes anew only what is of an older definition: leave one out"
        )
    there = [handle for handle in list_handles(settings.models_uri) if _fits(handle, request)]
    if not request.handles and not there and request.names:
        named = " and ".join(f"{name} {value!r}" for name in ("namespace", "glob") if (value := getattr(request, name)))
        raise InputError(f"no model of {settings.get_written('models_uri')} fits the {named}")
    return tuple(dict.fromkeys([*request.handles, *there]))


def examine(settings: Settings, request: BackfillRequest, handle: str) -> Standing:
    """What a backfill finds a model to have; nothing where its run will say what is wrong with it.

    Raises:
        StoreError: something cannot be read.
    """
    with suppress(InputError):
        is_frozen = read_lifecycle(settings.models_uri, handle).state not in DRAFTS
        if is_frozen and (request.only_lacking or request.refresh):
            return Standing(SkipReason("It is no draft, so its samples are frozen"))
        model = load_model(settings.models_uri, handle)
        sets = list_sets(settings.samples_uri, handle, choose_pool(request.synth_type))
        older = [] if is_frozen else list_outdated(sets, model)
        return Standing(_find_skip_reason(settings, request, model, sets, older), len(older), count_stored(older))
    return Standing()


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
    made = _find_attached(request, model, sets)
    said = "It has a set for its definition, this synth type and this effort"
    return None if made is None else SkipReason(said, made.run_id)


def _find_attached(request: BackfillRequest, model: Model, sets: Sequence[StoredSet]) -> StoredSet | None:
    """The attached set of a model for its present definition, this synth type, this effort, and this number of its own.

    With ``force`` only a set of the runs in ``done`` counts.
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
