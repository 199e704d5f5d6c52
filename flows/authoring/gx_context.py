"""The work of ``exemplars gx-context``: writes a project of Great Expectations, and says how it is opened."""

import json
import sys
from dataclasses import asdict

from engine.settings import Settings
from engine.text.formatting import count_noun
from expectations.gx_project.project import Written, write_project


def write_gx_context(settings: Settings, folder: str, force: bool) -> Written:
    """Writes the project; what is left out of it is said on stderr.

    Raises:
        InputError, DefinitionError, StoreError: as ``write_project``.
    """
    written = write_project(settings, folder, force)
    for note in written.notes:
        print(note, file=sys.stderr)
    return written


def show_written(written: Written, as_json: bool = False) -> None:
    """Prints what was written; as one line of JSON for programs."""
    if as_json:
        print(json.dumps(asdict(written)))
        return
    about = f"{count_noun(written.models, 'model')}, {count_noun(written.sets, 'attached set')}"
    print(f"A project of Great Expectations over {about}: {written.place}")
    for name, checks in written.checks.items():
        print(f'  context.checkpoints.get("{name}").run()  # {count_noun(checks, "check")}')
    print(f'Open it with gx.get_context(project_root_dir="{written.place}"); its README.md says what it needs.')
