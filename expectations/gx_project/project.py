"""Writes a project of Great Expectations over all that is attached, which people open with Great Expectations itself.

The gate's ``whole`` and ``held_out`` are held against all that a model has, its ``run`` and the author's suites against
each attached set. Nothing is at the project's place before it is whole.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from engine.definitions.loader import list_handles, load_model
from engine.definitions.own_suites import read_own_suites
from engine.domain.model import Pool
from engine.errors import InputError
from engine.settings import Settings
from engine.store.layout import VERDICT
from engine.store.store import StoredSet, list_sets, read_document
from engine.system.filesystem import Target
from expectations.gate import FOLDER, HELD_OUT_SUITE, RUN_SUITE, WHOLE_SUITE, import_gx, make_parameters
from expectations.own_suites import check_own_suites
from expectations.results import COUNT, number_expectations

# What a project consists of, with what Great Expectations adds to it.
ENTRIES = re.compile(r"gx(/.*)?|README\.md")
README = Path(__file__).parent / "README.md"
BATCH = "all"


@dataclass(frozen=True, slots=True)
class Check:
    """A suite that is held against a frame (``opened.StoreFrame``); ``checkpoint`` is the one that it belongs to."""

    checkpoint: str
    suite: Mapping[str, Any]
    handle: str
    pool: Pool | None = None
    run_id: str | None = None

    @property
    def name(self) -> str:
        """The name of its suite and its frame. It has no dot: Great Expectations takes that for a folder."""
        parts = (self.checkpoint, self.handle, self.pool or "both pools", self.run_id)
        return " ".join(filter(None, parts)).replace(".", " ")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the place, over how many models and attached sets, and the checks of each checkpoint."""

    place: str
    models: int
    sets: int
    checks: dict[str, int]


def write_project(settings: Settings, to: str, force: bool = False) -> Written:
    """Writes a project over all that is attached.

    Args:
        to: a local path, of a folder that is not there yet.
        force: replaces an earlier project, with whatever has been added to it.

    Raises:
        InputError, DefinitionError: the place, a model or a suite is wrong, or nothing is attached.
        StoreError: the store cannot be read, or the place cannot be written.
    """
    if "://" in to:
        raise InputError(f"{to}: a project is written to this machine's disk. Give a local path as FOLDER")
    target = Target(Path(to).absolute(), ENTRIES, force, option="FOLDER")
    target.check()
    samples_uri = settings.locate(settings.samples_uri)
    checks = list(list_checks(settings))
    if not checks:
        raise InputError(
            f"Nothing is attached in {samples_uri}. Make some samples first, or set EXEMPLARS_SAMPLES_URI to another "
            "store"
        )
    with target.making() as part:
        _write_context(part, settings, checks)
        readme = README.read_text(encoding="utf-8")
        (part / "README.md").write_text(
            readme.replace("{store}", samples_uri).replace("{place}", str(target.place)), encoding="utf-8"
        )
    return Written(
        place=str(target.place),
        models=len({check.handle for check in checks}),
        sets=len({check.run_id for check in checks if check.run_id}),
        checks=dict(Counter(check.checkpoint for check in checks)),
    )


def list_checks(settings: Settings) -> Iterator[Check]:
    """Yields what a project checks: of each model of the catalogue that has attached sets.

    Raises:
        InputError, DefinitionError: a model or a suite has mistakes. StoreError: the store cannot be read.
    """
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    run, whole, held_out = (
        json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        for name in (RUN_SUITE, WHOLE_SUITE, HELD_OUT_SUITE)
    )
    for handle in list_handles(models_uri):
        sets = {pool: found for pool in get_args(Pool) if (found := list_sets(samples_uri, handle, pool))}
        if not sets:
            continue
        load_model(models_uri, handle)
        own = read_own_suites(settings, handle)
        check_own_suites(own)
        suites = {RUN_SUITE: run, **{suite.name: json.loads(suite.content) for suite in own}}
        for pool, found in sets.items():
            yield Check(WHOLE_SUITE, resolve(whole, {"row_floor": 1}), handle, pool)
            for stored in found:
                parameters = read_parameters(stored)
                for name, suite in suites.items():
                    yield Check(name, resolve(suite, parameters), handle, pool, stored.run_id)
        if "eval" in sets:
            yield Check(HELD_OUT_SUITE, resolve(held_out, {"row_floor": 1}), handle)


def read_parameters(stored: StoredSet) -> dict[str, Any]:
    """Reads the parameters of a suite that is held against a set as it is now; its figures are those of its run."""
    counts = stored.manifest["counts"]
    variety = read_document(stored, VERDICT).get("variety", {})
    figures = {f"{trait}/{pole}": item for trait, poles in variety.items() for pole, item in poles.items()}
    return make_parameters(list(counts), counts, stored.run_id, figures)


def resolve(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Puts the values of parameters into a suite, or a part of one."""
    if isinstance(value, Mapping):
        if "$PARAMETER" in value:
            return parameters[value["$PARAMETER"]]
        return {name: resolve(item, parameters) for name, item in value.items()}
    return [resolve(item, parameters) for item in value] if isinstance(value, list) else value


def _write_context(folder: Path, settings: Settings, checks: Sequence[Check]) -> None:
    gx = import_gx()
    from great_expectations.checkpoint.actions import UpdateDataDocsAction
    from great_expectations.core.batch_definition import BatchDefinition

    from expectations.gx_project.opened import StoreFrame, StoreSource

    context = gx.get_context(mode="file", project_root_dir=folder)
    context.enable_analytics(enable=False)
    frames = [
        StoreFrame(
            name=check.name,
            handle=check.handle,
            pool=check.pool,
            run_id=check.run_id,
            batch_definitions=[BatchDefinition(name=BATCH)],
        )
        for check in checks
    ]
    # Added at once: the settings are written anew with each.
    source = context.data_sources.add_exemplars(
        StoreSource(
            name="exemplars",
            models_uri=settings.locate(settings.models_uri),
            samples_uri=settings.locate(settings.samples_uri),
            assets=frames,
        )
    )
    validations: dict[str, list[Any]] = {}
    for check in checks:
        suite = context.suites.add(_make_suite(gx, check))
        batches = source.get_asset(check.name).get_batch_definition(BATCH)
        validation = gx.ValidationDefinition(name=check.name, data=batches, suite=suite)
        validations.setdefault(check.checkpoint, []).append(context.validation_definitions.add(validation))
    for name, own in validations.items():
        actions = [UpdateDataDocsAction(name="data docs")]
        context.checkpoints.add(gx.Checkpoint(name=name, validation_definitions=own, actions=actions))


def _make_suite(gx: Any, check: Check) -> Any:
    """Makes the suite of a check; Data Docs show of each expectation its clause, where it has one."""
    expectations = [
        {**item, "description": item.get("description") or item["meta"].get("says")}
        for item in number_expectations(check.suite)["expectations"]
    ]
    about = (check.suite.get("meta") or {}).get("about")
    return gx.ExpectationSuite(name=check.name, expectations=expectations, meta={COUNT: len(expectations)}, notes=about)
