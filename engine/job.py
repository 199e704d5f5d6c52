"""The job: what one run was asked for, checked before anything is paid, and what its steps share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import get_args

from engine.asking import Asker
from engine.definition import load_model
from engine.effort import Level, choose_effort, load_level
from engine.embedded import find_gguf, is_embedded, serve_embedded
from engine.errors import UnsupportedError
from engine.llm import Endpoint, LitellmClient
from engine.model import EFFORTS, SYNTH_TYPES, Effort, Model, Pool, SynthType
from engine.progress import Progress
from engine.settings import PROJECT_ROOT, Settings
from engine.store import check_writable, digest_sets, list_sets, read_attached
from engine.variation import check_seeds, list_unusable

SCENARIOS_FOLDER = PROJECT_ROOT / "data" / "scenarios"


class Job:
    """What a run was asked for. Not a dataclass: Prefect walks into those, and a model may hold a million samples."""

    def __init__(self, model: Model, synth_type: SynthType, level: Level) -> None:
        self.model = model
        self.synth_type = synth_type
        self.level = level


def load_job(settings: Settings, handle: str, synth_type: str, effort: str | None) -> Job:
    """The job of a request, when every input of it can be used; nothing is written or asked of any model.

    Raises:
        HandleError, NoTraitsError, NoSeedsError, DefinitionError, UnsupportedError: what the user gave is wrong.
        ModelNotFoundError: the embedded model's file is not there.
        StoreError: the sample store cannot be read or written.
    """
    checked_type = check_synth_type(synth_type)
    checked_effort = check_effort(effort)
    model = load_model(settings.locate(settings.models_uri), handle)
    if checked_type == "diversify":
        check_seeds(model)
        model = replace(model, skipped=(*model.skipped, *list_unusable(model)))
    level = load_level(settings.locate(settings.effort_file), choose_effort(checked_effort, model.effort))
    level = replace(level, synth_model=settings.synth_model or level.synth_model)
    if is_embedded(level.synth_model):
        find_gguf(level.synth_model)
    samples_uri = settings.locate(settings.samples_uri)
    check_writable(samples_uri)
    return Job(read_pools(samples_uri, model), checked_type, level)


def read_pools(samples_uri: str, model: Model) -> Model:
    """The model with what the store has of it: what is attached, and what is held out for evaluation.

    Raises:
        StoreError: a set that cannot be read.
    """
    train, held_out = (list_sets(samples_uri, model.handle, pool) for pool in get_args(Pool))
    return replace(
        model,
        attached=read_attached(train),
        attached_digests=digest_sets(train),
        held_out=read_attached(held_out),
        held_out_digests=digest_sets(held_out),
    )


def check_synth_type(synth_type: str) -> SynthType:
    """The synth type itself, when it is one.

    Raises:
        UnsupportedError: an unknown one.
    """
    known: dict[str, SynthType] = {name: name for name in get_args(SynthType)}
    if synth_type not in known:
        raise UnsupportedError(f"{synth_type!r} is not a synth type. There are: {', '.join(SYNTH_TYPES)}")
    return known[synth_type]


def check_effort(effort: str | None) -> Effort | None:
    """The effort itself, or None where none is asked for.

    Raises:
        UnsupportedError: an unknown one.
    """
    known: dict[str, Effort] = {name: name for name in get_args(Effort)}
    if effort is None:
        return None
    if effort not in known:
        raise UnsupportedError(f"{effort!r} is not an effort. There are: {', '.join(EFFORTS)}")
    return known[effort]


@contextmanager
def open_asker(settings: Settings, level: Level, progress: Progress) -> Iterator[Asker]:
    """Everything that the run asks of its synth model goes through what this yields; an embedded server ends with it.

    Raises:
        ProviderError: the model cannot be had.
    """
    limit = min((cost for cost in (settings.max_cost_usd, level.max_cost_usd) if cost is not None), default=None)
    if is_embedded(level.synth_model):
        with serve_embedded(level.synth_model) as endpoint:
            yield _make_asker(endpoint, settings, progress, limit)
    else:
        yield _make_asker(_make_endpoint(settings, level), settings, progress, limit)


def _make_asker(endpoint: Endpoint, settings: Settings, progress: Progress, max_cost_usd: float | None) -> Asker:
    client = LitellmClient(endpoint, settings.call_timeout_seconds)
    return Asker(client, settings.locate(settings.cache_dir), progress, settings.concurrency, max_cost_usd)


def _make_endpoint(settings: Settings, level: Level) -> Endpoint:
    key = settings.synth_api_key
    base = settings.synth_api_base
    return Endpoint(
        name=level.synth_model,
        model=level.synth_model,
        identity=f"{level.synth_model}@{base or ''}",
        api_base=base,
        api_key=key.get_secret_value() if key else None,
    )
