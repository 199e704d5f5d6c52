"""A project opens with Great Expectations alone, and its checkpoints give the gate's verdict on what is attached."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.stored import HANDLE, attach_set, read_files, write_lines, write_model

from engine.definitions.loader import load_model
from engine.domain.model import Pool
from engine.domain.samples import make_row
from engine.errors import DefinitionError, InputError
from engine.quality.diversity import measure_texts
from engine.quality.verdict import Verdict
from engine.report.summary import make_whole_frame
from engine.settings import Settings
from engine.store.layout import VERDICT
from engine.store.sample_set import SampleSet
from engine.store.store import StoredSet, list_sets, read_attached, write_set
from expectations.gate import FOLDER, run_suite
from expectations.gx_project.contents import make_name
from expectations.gx_project.project import Written, write_project
from expectations.results import join_outcomes

# The packages that a project must do without.
ABSENT = "engine expectations flows tasks regex rensa icu4py stopwordsiso langcodes prefect".split()
OPEN = """
import builtins, json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}")

ABSENT = set(json.loads(sys.argv[2]))
sys.meta_path.insert(0, Refuse())
import great_expectations as gx
context = gx.get_context(project_root_dir=sys.argv[1])
context.variables.progress_bars = {"globally": False}
from exemplars_gate import read_verdict
said = {}
for name in json.loads(sys.argv[3]):
    result = context.checkpoints.get(name).run()
    verdict = read_verdict(result)
    said[name] = [result.success, verdict.success, verdict.failed, verdict.warnings,
                  [[item.suite, item.name, item.success] for item in verdict.results]]
context.build_data_docs()
print(json.dumps(said))
"""
OWN: dict[str, Any] = {
    "name": "house",
    "expectations": [
        {
            "type": "expect_column_values_to_not_match_regex",
            "kwargs": {"column": "text", "regex": "(?i)acme"},
            "meta": {"says": "no text names a competitor"},
        }
    ],
}
TEXTS = (
    "The spare battery of the scanner lies in the second drawer.",
    "Ask the night porter for a key whenever doors are locked.",
    "Unser Geschäft in Köln schließt jeden zweiten Freitag um zwölf.",
    "Two lamps in the hall were replaced last spring by Henry.",
)
# A duplicate of the first, as somebody might put it into the store by hand.
DOUBLED = "The spare battery of the scanner lies in the second drawer now."


def put_set(samples: Path, run_id: str, texts: tuple[str, ...], pool: Pool = "train") -> StoredSet:
    """Attaches texts, by turns positive and negative, with the verdict that the gate has on their variety."""
    stamp = make_stamp(run_id)
    rows = [
        make_row(make_exemplar(text, "negative" if number % 2 else "positive", number // 2), stamp, None)
        for number, text in enumerate(texts)
    ]
    figures = {
        pole: {
            **asdict(measure_texts([row["text"] or "" for row in rows if row["pole"] == pole], None)),
            "coverage": {},
        }
        for pole in ("positive", "negative")
    }
    document = {VERDICT: json.dumps({"variety": {"clarity": figures}})}
    return write_set(str(samples), SampleSet(stamp, pool, "attached", "plan", rows, [], document, {}))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store with two attached sets of a model, one of them for evaluation, and suites of authors."""
    seeds = [{"content": "Every ticket names the person who opened it.", "clarity": 1.0}]
    seeds += [{"content": "Ownership is indicated in the pertinent field.", "clarity": 0.0}]
    write_model(tmp_path / "models", ("seeds.jsonl", write_lines(*seeds)))
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/house.json").write_text(json.dumps(OWN))
    put_set(tmp_path / "samples", "one", TEXTS)
    put_set(tmp_path / "samples", "two", ("A hedge grew over the gate.", "Seven geese crossed our yard."), "eval")
    return Settings(
        models_uri=str(tmp_path / "models"),
        samples_uri=str(tmp_path / "samples"),
        expectations_uri=str(tmp_path / "suites"),
    )


def open_project(written: Written, *checkpoints: str) -> dict[str, Any]:
    """What another process finds that has Great Expectations, pandas and pyarrow only."""
    ended = subprocess.run(
        [sys.executable, "-c", OPEN, written.place, json.dumps(ABSENT), json.dumps(checkpoints)],
        cwd=Path(written.place).parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == ended.returncode, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def check_whole(settings: Settings) -> Verdict:
    """The gate's own verdict on all that the model has, beside a run that adds nothing."""
    model = load_model(settings.models_uri, HANDLE)
    attached = read_attached(list_sets(settings.samples_uri, HANDLE, "train"))
    frame = make_whole_frame(replace(model, attached=attached), [])
    return join_outcomes([run_suite(FOLDER / "whole.json", frame, {"row_floor": 1})])


@pytest.mark.slow
def test_project_opens_without_us_and_says_what_the_gate_says(settings: Settings, tmp_path: Path) -> None:
    written = write_project(settings, str(tmp_path / "quality"))
    # Attached since, so the project's links have to find it; the doubled text is another's near duplicate.
    put_set(tmp_path / "samples", "three", (DOUBLED, "Acme doors are never locked on a Sunday."))
    found = open_project(written, *written.checks)
    ours = check_whole(settings)

    assert {"whole": 2, "held_out": 1, "run": 2, "house": 2} == written.checks
    success, passes, failed, warnings, results = found["whole"]
    assert (False, ours.success, []) == (success, passes, failed)
    [said] = warnings
    assert "the samples from before are no duplicates of one another" in said
    assert ours.warnings[0].partition("duplicates")[2] == said.partition("duplicates")[2]
    asset = f"whole: {make_name(HANDLE, 'train')}"
    assert [(item.name, item.success) for item in ours.results] == [
        (name, success) for suite, name, success in results if suite == asset
    ]
    # So few texts differ in their length by chance.
    assert [False, True, []] == found["run"][:3]
    assert all("the number of words does not tell the poles" in warning for warning in found["run"][3])
    # The fake's sets share their subjects.
    assert [False, True, []] == found["held_out"][:3]
    assert [True, True, [], []] == found["house"][:4]
    assert (tmp_path / "quality/gx/uncommitted/data_docs/local_site/index.html").is_file()


def test_same_store_gives_the_same_files_and_the_numbers_of_a_set_are_those_that_it_has(
    settings: Settings, tmp_path: Path
) -> None:
    # The longest handle, whose names are to be names of files.
    attach_set(tmp_path / "samples", "far", handle=f"{'n' * 99}.{'m' * 100}")
    contents = []
    for force in (False, True):
        folder = Path(write_project(settings, str(tmp_path / "quality"), force=force).place)
        contents.append(read_files(folder))
        (folder / "gx/uncommitted").mkdir()
    place = folder / "gx/expectations"
    run = {item["type"]: item["kwargs"] for item in json.loads((place / "run one.json").read_text())["expectations"]}
    own = json.loads((place / "house.json").read_text())["expectations"][0]

    assert contents[0] == contents[1]
    pool = tmp_path / f"samples/handle={HANDLE}/pool=train"
    assert pool == (folder / f"data/{HANDLE}/train/origin=attached").resolve()
    assert max(len(path.name.encode()) for path in folder.rglob("*")) < 250
    assert {"min_value": 4, "max_value": 4} == run["expect_table_row_count_to_be_between"]
    assert {"clarity": {"positive": 2, "negative": 2}} == run["expect_pole_counts_to_equal"]["wanted"]
    assert ["one"] == run["expect_column_values_to_be_in_set"]["value_set"]
    assert 2 == run["expect_variety_to_be_at_least"]["figures"]["clarity/positive"]["count"]
    assert ("critical", "no text names a competitor") == (own["severity"], own["description"])
    assert "$PARAMETER" not in "".join(path.read_text() for path in place.rglob("*.json"))


def test_what_a_project_cannot_be_made_of_is_refused_and_a_folder_that_is_there_stays(
    settings: Settings, tmp_path: Path
) -> None:
    place = tmp_path / "quality"
    for samples, said in (
        ("s3://bucket/samples", r"is s3://bucket/samples\. Copy it here"),
        ("none", "Nothing is att"),
    ):
        with pytest.raises(InputError, match=said):
            write_project(settings.model_copy(update={"samples_uri": samples}), str(place))
    (tmp_path / "suites/house.json").write_text(json.dumps(OWN).replace("not_match", "not_mach"))
    with pytest.raises(DefinitionError, match="Did you mean 'expect_column_values_to_not_match_regex'"):
        write_project(settings, str(place))
    assert not place.exists()

    (tmp_path / "suites/house.json").unlink()
    shutil.rmtree(tmp_path / "models" / HANDLE)
    [note] = write_project(settings, str(place)).notes
    assert note.startswith(f"{HANDLE}: its authored samples and its own suite are left out: No model")
    assert not list((place / "data").rglob("authored.parquet"))
    with pytest.raises(InputError, match="replace it with --force"):
        write_project(settings, str(place))
    (place / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        write_project(settings, str(place), force=True)
