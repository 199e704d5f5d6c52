"""Writes a whole project into a folder: there is nothing at its place before it is whole."""

import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError
from engine.settings import Settings
from engine.store.target import Target
from expectations.gx_project.contents import find_models, list_contents
from expectations.gx_project.context import write_context
from expectations.gx_project.frames import write_frames

# What a project consists of, with what Great Expectations adds to it.
ENTRIES = re.compile(r"(gx|data)(/.*)?|README\.md")
README = Path(__file__).parent / "README.md"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the place, how many models and attached sets it is about, and sentences on what is left out.

    ``checks`` are the validation definitions of each checkpoint.
    """

    place: str
    models: int
    sets: int
    checks: dict[str, int]
    notes: tuple[str, ...]


def write_project(settings: Settings, to: str, force: bool = False) -> Written:
    """Writes a project over all that is attached.

    Args:
        to: a local path, of a folder that is not there yet.
        force: replaces an earlier project, with whatever has been added to it.

    Raises:
        InputError, DefinitionError: the place, the store or a suite is wrong, or nothing is attached.
        StoreError: the store cannot be read, or the place cannot be written.
    """
    if "://" in to:
        raise InputError(f"{to}: a project is written to this machine's disk. Give a local path as FOLDER")
    target = Target(Path(to).absolute(), ENTRIES, force, option="FOLDER")
    target.check()
    models, notes = find_models(settings)
    store = settings.locate(settings.samples_uri)
    contents = list_contents(models, target.place / "data")
    with target.making() as part:
        for item in models:
            write_frames(part / "data", store, item)
        for name, text in write_context(contents, Path(store)).items():
            place = part / "gx" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        readme = README.read_text(encoding="utf-8")
        (part / "README.md").write_text(
            readme.replace("{store}", store).replace("{place}", str(target.place)), encoding="utf-8"
        )
    return Written(
        place=str(target.place),
        models=len(models),
        sets=sum(len(sets) for item in models for sets in item.sets.values()),
        checks={name: sum(check.checkpoint == name for check in contents.checks) for name in contents.checkpoints},
        notes=tuple(notes),
    )
