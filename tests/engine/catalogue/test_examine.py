"""A model is examined whole, whatever is wrong with it, and measured again only where something has changed."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.stored import HANDLE, NOON, POLE_TEXTS, attach_poles, attach_set, write_lines, write_model
from fakes.word_vectors import WordVectors

from engine.catalogue.condition import Counts, LastRun, ModelCondition
from engine.catalogue.examine import Places, examine_model
from engine.definitions.loader import load_model
from engine.domain.samples import make_row
from engine.planning.plan import digest_definition
from engine.store.layout import MANIFEST, SAMPLES, VERDICT
from engine.store.sample_set import SampleSet
from engine.store.store import write_set

HOUR = timedelta(hours=1)
SEEDS = write_lines(
    {"content": "You can do it now.", "clarity": 1.0},
    {"content": "Effectuation is possible.", "clarity": 0.0},
    {"content": "It is so.", "clarity": 0.4},
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    write_model(tmp_path / "models", ("samples.jsonl", SEEDS))
    return Places(str(tmp_path / "models"), str(tmp_path / "samples"), tmp_path / "cache")


def look(places: Places) -> ModelCondition:
    return examine_model(places, WordVectors(), HANDLE)


def store(places: Places) -> Path:
    return Path(places.samples_uri)


def test_samples_are_counted_by_trait_pole_and_provenance(places: Places) -> None:
    attach_set(store(places), "one", 6, ("clarity", "safety", "gone"))
    attach_set(store(places), "held-out", 2, pool="eval")
    clarity, safety, gone = look(places).traits

    assert (Counts(1, 1, 1), Counts(1, 1), Counts(1, 1)) == (clarity.authored, clarity.attached, clarity.held_out)
    assert {"positive": "Clear", "negative": "Obscure"} == clarity.labels
    assert ("safety", True, "gone", False) == (safety.key, safety.defined, gone.key, gone.defined)
    assert 2 == gone.attached.total


def test_last_run_is_that_of_the_newest_set_whatever_came_of_it(places: Places) -> None:
    attach_set(store(places), "attached")
    documents = {VERDICT: json.dumps({"failed": ["3 exemplars are lacking"], "cost": {"usd": 0.5}})}
    attach_set(store(places), "rejected", status="rejected", documents=documents, age=-HOUR)
    found = look(places)

    assert LastRun("rejected", "rejected", NOON + HOUR, "from_traits", "low", "3 exemplars are lacking") == found.last
    assert ({"attached": 1, "rejected": 1}, 0.5) == (found.sets, found.cost_usd)


def test_sets_for_another_definition_are_told_from_those_for_todays(places: Places) -> None:
    today = digest_definition(load_model(places.models_uri, HANDLE))
    for run_id, inputs in (("today", {"definition": today}), ("before", {"definition": "other"}), ("unknown", {})):
        stamp = make_stamp(run_id)
        rows = [make_row(make_exemplar(f"{run_id} text"), stamp, None)]
        write_set(places.samples_uri, SampleSet(stamp, "train", "attached", "plan", rows, [], {}, {}, inputs))

    assert ("before",) == look(places).changed


def test_what_has_changed_is_measured_again_and_nothing_else(places: Places) -> None:
    attach_poles(store(places), POLE_TEXTS)
    first = look(places)
    attach_set(store(places), "rejected", status="rejected")
    again = look(places)
    attach_set(store(places), "another")

    assert (True, False, True) == (first.fresh, again.fresh, look(places).fresh)
    assert first.measures == again.measures


@pytest.mark.parametrize(
    ("name", "content", "said", "state"),
    [
        ("model.yaml", "traits: [{type: spectrum}]", f"{HANDLE}/model.yaml", "draft"),
        ("samples.jsonl", "no JSON", "samples.jsonl:1", "draft"),
        ("lifecycle.json", '{"state": "asleep"}', "lifecycle.json", "unknown"),
    ],
)
def test_file_with_mistakes_is_a_fault_and_sets_count(
    places: Places, name: str, content: str, said: str, state: str
) -> None:
    attach_set(store(places), "one", 4)
    (Path(places.models_uri) / HANDLE / name).write_text(content)
    found = look(places)
    [fault] = found.faults

    assert (Counts(2, 2), state) == (found.traits[0].attached, found.state)
    assert (True, (f"exemplars plan {HANDLE}",)) == (said in fault.said, fault.commands)
    (Path(places.models_uri) / HANDLE / "model.yaml").write_text("traits: discover")
    assert look(places).unwritten


def test_set_that_was_damaged_is_a_fault_and_the_others_count(places: Places) -> None:
    attach_set(store(places), "good", 4)
    (Path(attach_set(store(places), "broken", 4).folder) / MANIFEST).write_text("{")
    (Path(attach_set(store(places), "gone", 2).folder) / SAMPLES).unlink()
    found = look(places)

    assert {"exemplars verify", "exemplars detach gone"} <= {said for fault in found.faults for said in fault.commands}
    assert Counts(3, 3) == found.traits[0].attached
