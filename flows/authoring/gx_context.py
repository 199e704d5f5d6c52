"""The work of ``exemplars gx-context``: says what was written, and how it is opened."""

import json
from dataclasses import asdict

from engine.text.formatting import count_noun
from expectations.gx_project.project import Written


def show_written(written: Written, as_json: bool = False) -> None:
    """Prints what was written; as one line of JSON for programs."""
    if as_json:
        print(json.dumps(asdict(written)))
        return
    about = f"{count_noun(written.models, 'model')}, {count_noun(written.sets, 'attached set')}"
    print(f"A project of Great Expectations over {about}: {written.place}")
    for name, checks in written.checks.items():
        print(f'  context.checkpoints.get("{name}").run()  # {count_noun(checks, "check")}')
    print(f"{written.place}/README.md says how it is opened.")
