"""A project opens with Great Expectations, and its checkpoints find what the gate finds of what is attached."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.stored import HANDLE, write_lines, write_model

from engine.definitions.loader import load_model
from engine.domain.model import Existing, Pool
from engine.domain.samples import make_row
from engine.errors import DefinitionError, InputError
from engine.settings import Settings
from engine.store.index.rows import read_attached
from engine.store.sample_set import SampleSet
from engine.store.store import StoredSet, list_sets, write_set
from expectations.frames import make_whole_frame
from expectations.gate import FOLDER, run_suite
from expectations.gx_project.project import write_project
from expectations.results import join_outcomes

OPEN = """
import json, sys
import great_expectations as gx
import expectations.gx_project.opened
context = gx.get_context(project_root_dir=sys.argv[1])
context.variables.progress_bars = {"globally": False}
said = {}
for name in json.loads(sys.argv[2]):
    result = context.checkpoints.get(name).run()
    for found in result.run_results.values():
        said[found.suite_name] = [
            found.success, found.get_max_severity_failure(),
            [[item.expectation_config.description, item.success] for item in found.results],
        ]
context.build_data_docs()
print(json.dumps(said))
"""
TEXTS = (
    "The spare battery of the scanner lies in the second drawer.",
    "Ask the night porter for a key whenever doors are locked.",
    "Unser Geschäft in Köln schließt jeden zweiten Freitag um zwölf.",
    "Two lamps in the hall were replaced last spring by Henry.",
)
# Near to a text of the author's, who may have written it since.
DOUBLED = "Every ticket names the person who opened it now."


def put_set(samples: Path, run_id: str, texts: tuple[str, ...], pool: Pool = "train") -> StoredSet:
    """Attaches texts, by turns positive and negative."""
    stamp = make_stamp(run_id)
    rows = [
        make_row(make_exemplar(text, "negative" if number % 2 else "positive", number // 2), stamp, None)
        for number, text in enumerate(texts)
    ]
    return write_set(str(samples), SampleSet(stamp, pool, "attached", "plan", rows, [], {}, {}))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store with two attached sets of a model, one of them for evaluation."""
    seeds = [{"content": "Every ticket names the person who opened it.", "clarity": 1.0}]
    seeds += [{"content": "Ownership is indicated in the pertinent field.", "clarity": 0.0}]
    write_model(tmp_path / "models", ("seeds.jsonl", write_lines(*seeds)))
    put_set(tmp_path / "samples", "one", TEXTS)
    put_set(tmp_path / "samples", "two", ("A hedge grew over the gate.", "Seven geese crossed our yard."), "eval")
    return Settings(models_uri=str(tmp_path / "models"), samples_uri=str(tmp_path / "samples"))


@pytest.mark.slow
def test_project_opens_elsewhere_and_says_what_the_gate_says(settings: Settings, tmp_path: Path) -> None:
    write_project(settings, str(tmp_path / "quality"))
    written = write_project(settings, str(tmp_path / "quality"), force=True)
    place = Path(written.place) / "gx/expectations"
    assert "$PARAMETER" not in "".join(path.read_text() for path in place.rglob("*.json"))
    # Attached since: the frames are of the store as it is now. The doubled text is another's near duplicate.
    put_set(tmp_path / "samples", "three", (DOUBLED, "Acme doors are never locked on a Sunday."))
    # Another process, elsewhere.
    command = [sys.executable, "-c", OPEN, written.place, json.dumps([*written.checks])]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    said_there = subprocess.check_output(command, cwd=tmp_path, env=plain, text=True)
    found: dict[str, Any] = json.loads(said_there.splitlines()[-1])
    # The gate's own verdict on all that the model has, beside a run that adds nothing.
    attached = read_attached(list_sets(settings.samples_uri, HANDLE, "train"))
    model = replace(load_model(settings.models_uri, HANDLE), existing=Existing(attached=attached))
    frame = make_whole_frame(model, [])
    ours = join_outcomes([run_suite(FOLDER / "whole.json", frame, {"row_floor": 1})])

    assert {"whole": 2, "held_out": 1} == written.checks
    success, worst, results = found["whole u22a8 test train"]
    assert (False, True, "warning") == (success, ours.success, worst)
    assert sorted([item.name, item.success] for item in ours.results) == sorted(results)
    assert ["the samples from before are no duplicates of one another", False] in results
    # The fake's sets share their subjects.
    assert [False, "warning"] == found["held_out u22a8 test both pools"][:2]
    assert (tmp_path / "quality/gx/uncommitted/data_docs/local_site/index.html").is_file()


def test_what_a_project_cannot_be_made_of_is_refused_and_a_folder_that_is_there_stays(
    settings: Settings, tmp_path: Path
) -> None:
    place = tmp_path / "quality"
    with pytest.raises(InputError, match="Nothing is attached in"):
        write_project(settings.model_copy(update={"samples_uri": "none"}), str(place))
    with pytest.raises(InputError, match="Give a local path as FOLDER"):
        write_project(settings, "s3://bucket/quality")
    definition = tmp_path / "models" / HANDLE / "model.yaml"
    written = definition.read_text()
    definition.write_text("traits: [")
    with pytest.raises(DefinitionError, match=r"model\.yaml"):
        write_project(settings, str(place))
    definition.write_text(written)
    write_project(settings, str(place))
    with pytest.raises(InputError, match="replaced with --force"):
        write_project(settings, str(place))
    (place / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        write_project(settings, str(place), force=True)
