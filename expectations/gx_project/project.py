"""Writes a project of Great Expectations over all that is attached, which people open with Great Expectations itself.

The gate's ``whole`` and ``held_out`` are held against all that a model has. Nothing is at the project's place before it
is whole.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from engine.definitions.loader import list_handles, load_model
from engine.domain.model import Pool
from engine.errors import InputError
from engine.settings import Settings
from engine.store.store import list_sets
from engine.system.filesystem import Target
from expectations.gate import FOLDER, HELD_OUT_SUITE, WHOLE_SUITE, import_gx

# What a project consists of, with what Great Expectations adds to it.
ENTRIES = re.compile(r"gx(/.*)?|README\.md")
README = Path(__file__).parent / "README.md"
BATCH = "all"
ROW_FLOOR = '{"$PARAMETER": "row_floor"}'


@dataclass(frozen=True, slots=True)
class Check:
    """A suite of the gate that is held against a frame (``opened.StoreFrame``), in the checkpoint of its name."""

    suite: str
    handle: str
    pool: Pool | None = None

    @property
    def name(self) -> str:
        """The name of its suite and its frame. It has no dot: Great Expectations takes that for a folder."""
        return f"{self.suite} {self.handle} {self.pool or 'both pools'}".replace(".", " ")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the place, over how many models, and the checks of each checkpoint."""

    place: str
    models: int
    checks: dict[str, int]


def write_project(settings: Settings, to: str, force: bool = False) -> Written:
    """Writes a project over all that is attached.

    Args:
        to: a local path, of a folder that is not there yet.
        force: replaces an earlier project, with whatever has been added to it.

    Raises:
        InputError, DefinitionError: the place or a model is wrong, or nothing is attached.
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
        checks=dict(Counter(check.suite for check in checks)),
    )


def list_checks(settings: Settings) -> Iterator[Check]:
    """Yields what a project checks: of each model of the catalogue that has attached sets.

    Raises:
        InputError, DefinitionError: a model has mistakes. StoreError: the store cannot be read.
    """
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    for handle in list_handles(models_uri):
        pools = [pool for pool in get_args(Pool) if list_sets(samples_uri, handle, pool)]
        if pools:
            load_model(models_uri, handle)
        yield from (Check(WHOLE_SUITE, handle, pool) for pool in pools)
        if "eval" in pools:
            yield Check(HELD_OUT_SUITE, handle)


def _write_context(folder: Path, settings: Settings, checks: Sequence[Check]) -> None:
    gx = import_gx()
    from great_expectations.checkpoint.actions import UpdateDataDocsAction
    from great_expectations.core.batch_definition import BatchDefinition

    from expectations.gx_project.opened import StoreFrame, StoreSource

    context = gx.get_context(mode="file", project_root_dir=folder)
    context.enable_analytics(enable=False)
    frames = [
        StoreFrame(
            name=check.name, handle=check.handle, pool=check.pool, batch_definitions=[BatchDefinition(name=BATCH)]
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
        # Nothing is added, so any row is enough.
        content = (FOLDER / f"{check.suite}.json").read_text(encoding="utf-8").replace(ROW_FLOOR, "1")
        spec = json.loads(content)
        # Data Docs show of each expectation its clause.
        expectations = [{**item, "description": item["meta"]["says"]} for item in spec["expectations"]]
        suite = context.suites.add(
            gx.ExpectationSuite(name=check.name, expectations=expectations, notes=spec["meta"]["about"])
        )
        batches = source.get_asset(check.name).get_batch_definition(BATCH)
        validation = gx.ValidationDefinition(name=check.name, data=batches, suite=suite)
        validations.setdefault(check.suite, []).append(context.validation_definitions.add(validation))
    for name, own in validations.items():
        actions = [UpdateDataDocsAction(name="data docs")]
        context.checkpoints.add(gx.Checkpoint(name=name, validation_definitions=own, actions=actions))
