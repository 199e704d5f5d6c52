"""Write a project of Great Expectations over all attached samples. People can open it with Great Expectations alone.

The gate's suites ``whole`` and ``held_out`` check all samples of a model. The project appears at its path only when it
is complete.
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

# The files of a project, including the files that Great Expectations adds.
ENTRIES = re.compile(r"gx(/.*)?|README\.md")
README = Path(__file__).parent / "README.md"
BATCH = "all"
ROW_FLOOR = '{"$PARAMETER": "row_floor"}'
# A suite of the gate, and the frame that it checks: a model's handle and its pool, None for both pools.
Check = tuple[str, str, Pool | None]


@dataclass(frozen=True, slots=True)
class Written:
    """A written project: its path, its number of models, and the number of checks of each checkpoint."""

    place: str
    models: int
    checks: dict[str, int]


def write_project(settings: Settings, to: str, force: bool = False) -> Written:
    """Write a project over all attached samples.

    Args:
        to: the local path of a new folder.
        force: replace an earlier project, including all files that were added to it.

    Raises:
        InputError, DefinitionError: the path or a model is wrong, or nothing is attached.
        StoreError: the store cannot be read, or the folder cannot be written.
    """
    if "://" in to:
        raise InputError(f"{to}: a project is written to this machine's disk. Give a local path as FOLDER")
    target = Target(Path(to).absolute(), ENTRIES, force, option="FOLDER")
    target.check()
    checks = list(list_checks(settings))
    if not checks:
        raise InputError(
            f"Nothing is attached in {settings.samples_uri}. Make some samples first, or set EXEMPLARS_SAMPLES_URI to "
            "another store"
        )
    with target.making() as part:
        _write_context(part, settings, checks)
        readme = README.read_text(encoding="utf-8")
        (part / "README.md").write_text(
            readme.replace("{store}", settings.samples_uri).replace("{place}", str(target.place)), encoding="utf-8"
        )
    models, counts = {handle for _, handle, _ in checks}, Counter(suite for suite, _, _ in checks)
    return Written(str(target.place), len(models), dict(counts))


def list_checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of a project, for each model of the catalogue with attached sets.

    Raises:
        InputError, DefinitionError: a model has mistakes. StoreError: the store cannot be read.
    """
    for handle in list_handles(settings.models_uri):
        pools = [pool for pool in get_args(Pool) if list_sets(settings.samples_uri, handle, pool)]
        if pools:
            load_model(settings.models_uri, handle)
        yield from ((WHOLE_SUITE, handle, pool) for pool in pools)
        if "eval" in pools:
            yield HELD_OUT_SUITE, handle, None


def _write_context(folder: Path, settings: Settings, checks: Sequence[Check]) -> None:
    gx = import_gx()
    from great_expectations.checkpoint.actions import UpdateDataDocsAction
    from great_expectations.core.batch_definition import BatchDefinition

    from expectations.gx_project.opened import StoreFrame, StoreSource

    context = gx.get_context(mode="file", project_root_dir=folder)
    context.enable_analytics(enable=False)
    # Names have no dots, because Great Expectations reads a dot as a folder.
    checks_by_name = {
        f"{suite} {handle} {pool or 'both pools'}".replace(".", " "): (suite, handle, pool)
        for suite, handle, pool in checks
    }
    frames = [
        StoreFrame(name=name, handle=handle, pool=pool, batch_definitions=[BatchDefinition(name=BATCH)])
        for name, (_, handle, pool) in checks_by_name.items()
    ]
    # All assets are added at once, because each addition rewrites the settings.
    source = context.data_sources.add_exemplars(
        StoreSource(
            name="exemplars",
            models_uri=settings.models_uri,
            samples_uri=settings.samples_uri,
            assets=frames,
        )
    )
    validations: dict[str, list[Any]] = {}
    for name, (suite_name, _, _) in checks_by_name.items():
        # No rows are added, so one row is enough.
        spec = json.loads((FOLDER / f"{suite_name}.json").read_text(encoding="utf-8").replace(ROW_FLOOR, "1"))
        # Data Docs show the clause of each expectation.
        expectations = [{**item, "description": item["meta"]["says"]} for item in spec["expectations"]]
        suite = gx.ExpectationSuite(name=name, expectations=expectations, notes=spec["meta"]["about"])
        batches = source.get_asset(name).get_batch_definition(BATCH)
        validation = gx.ValidationDefinition(name=name, data=batches, suite=context.suites.add(suite))
        validations.setdefault(suite_name, []).append(context.validation_definitions.add(validation))
    for name, definitions in validations.items():
        actions = [UpdateDataDocsAction(name="data docs")]
        context.checkpoints.add(gx.Checkpoint(name=name, validation_definitions=definitions, actions=actions))
