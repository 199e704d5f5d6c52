"""Decides what a project of Great Expectations has: frames of the store, suites, and which is held against which.

The gate's ``whole`` and ``held_out`` are held against all that a model has now, its ``run`` and the author's suites
against each attached set.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from engine.definitions.loader import load_model
from engine.definitions.own_suites import read_catalogue_suites, read_model_suite
from engine.definitions.repeated_seeds import settle_seeds
from engine.domain.model import Model, Pool, digest_text
from engine.domain.samples import SAMPLE_SCHEMA
from engine.domain.suites import OwnSuite
from engine.domain.verdict import Variety
from engine.errors import InputError
from engine.settings import Settings
from engine.store.layout import VERDICT
from engine.store.store import StoredSet, list_pools, list_sets
from engine.system.filesystem import read_bytes
from expectations.gate import FOLDER, HELD_OUT_SUITE, RUN_SUITE, WHOLE_SUITE, list_parameters, make_parameters
from expectations.own_suites import check_own_suites

Spec = Mapping[str, Any]
# Of a file name of 255 bytes, what a data source and an ending leave, and of a name that is cut, its digest.
NAME_BYTES, DIGEST_CHARS = 180, 12


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model with attached sets: its definition, None where that cannot be read, its sets by pool, and its suites."""

    handle: str
    model: Model | None
    sets: Mapping[Pool, Sequence[StoredSet]]
    own_suites: Sequence[OwnSuite]


@dataclass(frozen=True, slots=True)
class Frame:
    """The data of one check. ``path`` is a set's file in the store, or a folder of the project that links into it."""

    name: str
    path: Path
    is_set: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A suite that is held against a frame; ``checkpoint`` is the one that it belongs to."""

    checkpoint: str
    suite: str
    frame: Frame


@dataclass(slots=True)
class Contents:
    """What a project has: suites by name, checks in order, and sentences on what it lacks."""

    suites: dict[str, Spec] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def checkpoints(self) -> list[str]:
        """The names of the checkpoints."""
        return list(dict.fromkeys(check.checkpoint for check in self.checks))

    def add(self, checkpoint: str, suite: str, spec: Spec, frame: Frame) -> None:
        """Adds a check, and its suite where it is new."""
        self.suites.setdefault(suite, {**spec, "name": suite})
        self.checks.append(Check(checkpoint, suite, frame))


def find_models(settings: Settings) -> tuple[list[StoredModel], list[str]]:
    """Finds all models with attached sets in a store on this machine, and sentences on those that cannot be read.

    Raises:
        InputError: the store is none of this machine, or nothing is attached; as ``read_own_suites``.
        DefinitionError: a suite has mistakes. StoreError: the store cannot be read.
    """
    samples_uri = settings.locate(settings.samples_uri)
    if "://" in samples_uri:
        raise InputError(
            f"A project of Great Expectations reads files on this machine, and the sample store is {samples_uri}. Copy "
            "it here (aws s3 sync, gcloud storage rsync) and set EXEMPLARS_SAMPLES_URI to the copy"
        )
    handles = list(dict.fromkeys(pool.rpartition("/handle=")[2].split("/")[0] for pool in list_pools(samples_uri)))
    catalogue = read_catalogue_suites(settings)
    found, notes = [], []
    for handle in handles:
        sets = {pool: list_sets(samples_uri, handle, pool) for pool in get_args(Pool)}
        if any(sets.values()):
            model, note = _read_model(settings, handle)
            own = read_model_suite(settings.locate(settings.models_uri), handle) if model else []
            found.append(StoredModel(handle, model, sets, [*catalogue, *own]))
            notes += [note] if note else []
    if not found:
        raise InputError(
            f"Nothing is attached in {samples_uri}. Make some samples first, or set EXEMPLARS_SAMPLES_URI to another "
            "store"
        )
    check_own_suites(list(dict.fromkeys(suite for item in found for suite in item.own_suites)))
    return found, notes


def list_contents(models: Sequence[StoredModel], data: Path) -> Contents:
    """Lists what a project over these models has.

    Args:
        data: the project's folder of frames that are more than one file (``expectations.gx_project.frames``).
    """
    contents = Contents()
    whole, held_out, run = (_read_suite(name) for name in (WHOLE_SUITE, HELD_OUT_SUITE, RUN_SUITE))
    for item in models:
        for pool, sets in item.sets.items():
            if sets:
                frame = Frame(make_name(item.handle, pool), data / item.handle / pool, is_set=False)
                contents.add(WHOLE_SUITE, WHOLE_SUITE, resolve(whole, {"row_floor": 1}), frame)
    for item in models:
        if item.sets["eval"]:
            frame = Frame(make_name(item.handle, "both pools"), data / item.handle / "sides", is_set=False)
            contents.add(HELD_OUT_SUITE, HELD_OUT_SUITE, resolve(held_out, {"row_floor": 1}), frame)
    stored = [(item, found) for item in models for sets in item.sets.values() for found in sets]
    for item, found in stored:
        suite = make_name(RUN_SUITE, found.run_id)
        contents.add(RUN_SUITE, suite, resolve(run, read_parameters(found)), _frame_set(item, found))
    for item, found in stored:
        for own in item.own_suites:
            spec, name = json.loads(own.content), make_name(own.name)
            if item.model is not None and own.place.startswith(f"{item.handle}/"):
                name = make_name(own.name, item.handle)
            suite = make_name(name, found.run_id) if _names_parameter(spec) else name
            contents.add(name, suite, resolve(spec, read_parameters(found)), _frame_set(item, found))
    return contents


def make_name(*parts: str) -> str:
    """Makes a name in the project, which files are named by too.

    None has a dot: Great Expectations takes that for a folder.
    """
    name = " ".join(parts).replace(".", " ")
    if len(name.encode()) <= NAME_BYTES:
        return name
    begin = name.encode()[: NAME_BYTES - DIGEST_CHARS - 1].decode(errors="ignore")
    return f"{begin} {digest_text(name)[:DIGEST_CHARS]}"


def read_parameters(stored: StoredSet) -> dict[str, Any]:
    """Reads the parameters of a suite that is held against a set as it is now.

    The diversity figures are those that its run measured; they are left out where rows have been taken off since.
    """
    counts = stored.manifest["counts"]
    parameters = make_parameters(list(counts), counts, stored.run_id, SAMPLE_SCHEMA.names, {})
    if VERDICT in stored.manifest["files"]:
        variety = json.loads(read_bytes(stored.file(VERDICT))).get("variety", {})
        figures = {f"{trait}/{pole}": item for trait, poles in variety.items() for pole, item in poles.items()}
        expected = {f"{trait}/{pole}": count for trait, poles in counts.items() for pole, count in poles.items()}
        whole = all(item.keys() >= {figure.name for figure in fields(Variety)} for item in figures.values())
        if whole and {name: item["count"] for name, item in figures.items()} == expected:
            return {**parameters, "variety": figures}
    del parameters["variety"]
    return parameters


def resolve(spec: Spec, parameters: Mapping[str, Any]) -> Spec:
    """Puts the values of parameters into a suite; an expectation on one that has no value is left out."""
    kept = [item for item in spec["expectations"] if set(list_parameters(item["kwargs"])) <= set(parameters)]
    return {
        **spec,
        "expectations": [{**item, "kwargs": _put(item["kwargs"], parameters)} for item in kept],
    }


def _read_model(settings: Settings, handle: str) -> tuple[Model | None, str]:
    try:
        return settle_seeds(load_model(settings.locate(settings.models_uri), handle)), ""
    except InputError as error:
        first = str(error).splitlines()[0]
        return None, f"{handle}: its authored samples and its own suite are left out: {first}"


def _read_suite(name: str) -> Spec:
    spec: Spec = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return spec


def _frame_set(item: StoredModel, stored: StoredSet) -> Frame:
    name = make_name(item.handle, str(stored.manifest["pool"]), stored.run_id)
    return Frame(name, Path(stored.file(stored.rows_name)), is_set=True)


def _names_parameter(spec: Spec) -> bool:
    return any(True for item in spec["expectations"] for _ in list_parameters(item["kwargs"]))


def _put(value: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if "$PARAMETER" in value:
            return parameters[value["$PARAMETER"]]
        return {name: _put(item, parameters) for name, item in value.items()}
    return [_put(item, parameters) for item in value] if isinstance(value, list) else value
