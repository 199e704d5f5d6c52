"""Surveys a whole catalogue: examines its models on all cores, compares them, and puts first what needs a person."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from engine.catalogue.condition import Fault, LastRun, ModelCondition
from engine.catalogue.examine import Places, examine_model
from engine.catalogue.findings import KINDS, Finding, Kind, list_findings
from engine.definitions.loader import list_handles
from engine.domain.model import is_handle
from engine.store.store import UNREADABLE, translate_errors
from engine.system.filesystem import list_folders
from engine.system.worker_process import RunHeavy, WorkerProcess
from engine.text.embedding import Embedder, Vectors, encode, load_encoder

LOGGER = logging.getLogger("exemplars.catalogue")
# A further process takes a second to start and 150 MB.
MODELS_A_PROCESS = 8
MOST_PROCESSES = 8
Result = TypeVar("Result")
# Is told how many of how many models are examined.
Report = Callable[[int, int], None]


class PlainEncoder:
    """The packaged encoder without a memory of what it has encoded: of no model a text stays."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns vectors of shape ``(len(texts), 512)``."""
        return encode(texts)


@dataclass(frozen=True, slots=True)
class SurveyedModel:
    """A model, and what of it needs a person, most pressing first."""

    condition: ModelCondition
    findings: tuple[Finding, ...]

    @property
    def handle(self) -> str:
        """Its handle."""
        return self.condition.handle

    @property
    def needs_person(self) -> bool:
        """Whether something is wrong with it, or waits."""
        return any(not finding.is_calm for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Survey:
    """All models of a catalogue and its store, those first that need a person most.

    Args:
        notes: what could not be looked at, a sentence each.
    """

    models: tuple[SurveyedModel, ...]
    surveyed_at: datetime
    notes: tuple[str, ...] = ()

    def count_kinds(self) -> list[tuple[Kind, int]]:
        """How many models have a finding of each kind that was found, most pressing first."""
        counts = Counter(kind for model in self.models for kind in {finding.kind for finding in model.findings})
        return [(kind, counts[kind]) for kind in KINDS if counts[kind]]

    @property
    def needing(self) -> int:
        """How many models need a person."""
        return sum(model.needs_person for model in self.models)


async def survey_catalogue(
    places: Places,
    now: datetime,
    runs: Mapping[str, LastRun] | None = None,
    notes: Sequence[str] = (),
    embedder: Embedder | None = None,
    processes: int | None = None,
    report: Report = lambda done, of: None,
) -> Survey:
    """Surveys all models of the catalogue, and those that only the store knows.

    Args:
        runs: the newest run of each model by its handle, as far as Prefect knows of it; they may have left no set.
        embedder: one that can be pickled; None for the packaged encoder.
        processes: None for as many as there are cores, where there are models for them.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    handles = list_all_handles(places)
    examined = await _examine_all(places, handles, embedder or PlainEncoder(), processes, report)
    models = []
    for one in examined:
        condition = replace(one, last=choose_last(one.last, (runs or {}).get(one.handle)))
        models.append(SurveyedModel(condition, tuple(list_findings(condition))))
    return Survey(tuple(sorted(models, key=_rank)), now, tuple(notes))


def list_all_handles(places: Places) -> list[str]:
    """The handles of the catalogue, and those of which only the store has sets, sorted.

    Raises:
        StoreError: one of the two cannot be listed.
    """
    with translate_errors(places.samples_uri, UNREADABLE):
        stored = [name.removeprefix("handle=") for name in list_folders(places.samples_uri) if "handle=" in name]
    return sorted({*list_handles(places.models_uri), *filter(is_handle, stored)})


def choose_last(stored: LastRun | None, run: LastRun | None) -> LastRun | None:
    """The newer of the run that left the newest set and the newest run that Prefect knows of; of one run, its set."""
    if stored is None or run is None:
        return stored or run
    if run.run_id == stored.run_id or run.at is None or stored.at is None:
        return stored
    return run if run.at > stored.at else stored


async def _examine_all(
    places: Places, handles: Sequence[str], embedder: Embedder, processes: int | None, report: Report
) -> list[ModelCondition]:
    """Examines models in this process and in others, one at a time in each; in the order of the handles."""
    found: dict[str, ModelCondition] = {}
    waiting = iter(handles)

    async def work(run: RunHeavy) -> None:
        for handle in waiting:
            found[handle] = await run(partial(_examine, places, embedder, handle))
            report(len(found), len(handles))

    with ExitStack() as stack:
        others = [
            stack.enter_context(WorkerProcess(LOGGER.warning, load_encoder)).run
            for _ in range(_count_processes(len(handles), processes) - 1)
        ]
        await asyncio.gather(*(work(run) for run in (_run_in_thread, *others)))
    return [found[handle] for handle in handles]


def _count_processes(models: int, wanted: int | None) -> int:
    return wanted or max(1, min(MOST_PROCESSES, os.cpu_count() or 1, models // MODELS_A_PROCESS))


async def _run_in_thread(work: Callable[[], Result]) -> Result:
    """Does a work of this process on another thread, so that the other processes are handed theirs meanwhile."""
    return await asyncio.to_thread(work)


def _examine(places: Places, embedder: Embedder, handle: str) -> ModelCondition:
    """Examines a model. What nobody has foreseen in one model is a row too, and not the end of the survey."""
    try:
        return examine_model(places, embedder, handle)
    except Exception as error:
        LOGGER.exception("%s could not be examined", handle)
        said = f"It could not be examined: {type(error).__name__}: {error}. The log has more"
        return ModelCondition(handle, state="unknown", faults=(Fault(said, (f"exemplars plan {handle}",)),))


def _rank(model: SurveyedModel) -> tuple[int, int, str]:
    """The most pressing finding first, then how many there are."""
    first = KINDS.index(model.findings[0].kind) if model.findings else len(KINDS)
    return first, -len(model.findings), model.handle
