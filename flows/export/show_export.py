"""The work of ``exemplars export``: prints what was exported and how it is read."""

import json
from dataclasses import asdict

from engine.export.formats import Export
from engine.text.formatting import count_noun

# How each format is used, as a sentence.
USES = {
    "platform": "Put it into a model's folder, and this into its model.yaml:",
    "api": "Each file is the body of one POST /v1/models/{handle}/samples.",
    "csv": "Where a spreadsheet would run a formula, a single quote stands before it.",
    "jsonl": "One object a line, with all columns.",
    "hub": "It loads with datasets.load_dataset, and uploads as it is. Choose the licence in its README.md first.",
}


def show_export(export: Export, as_json: bool = False) -> None:
    """Prints what was exported; as one line of JSON for programs."""
    if as_json:
        print(json.dumps(asdict(export)))
        return
    pools = " and ".join(export.pools)
    of = f"{count_noun(export.samples, 'sample')} of {count_noun(export.runs, 'run')}, pool {pools}"
    print(f"Exported from {export.handle}: {of}: {export.to}")
    if export.left_out:
        print(f"Left out: {count_noun(export.left_out, 'sample')} of traits that the model no longer has.")
    print(USES[export.format].replace("{handle}", export.handle))
    if export.source:
        print(f"\n{export.source}", end="")
