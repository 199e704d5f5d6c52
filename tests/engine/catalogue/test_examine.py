"""A model is examined whole, whatever is wrong with it, and measured again only where something has changed."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.stored import HANDLE, NOON, POLE_TEXTS, attach_poles, attach_set, write_lines, write_model
from fakes.word_vectors import WordVectors

from engine.catalogue.condition import Counts, LastRun, ModelCondition
from engine.catalogue.examine import Places, examine_model
from engine.catalogue.kept import FOLDER
from engine.definitions.loader import load_model
from engine.domain.samples import make_row
from engine.planning.plan import digest_definition
from engine.store.layout import MANIFEST, SAMPLES, VERDICT
from engine.store.sample_set import SampleSet
from engine.store.store import write_set
from engine.text.embedding import Vectors

HOUR = timedelta(hours=1)
SEEDS = write_lines(
    {"content": "You can do it now.", "clarity": 1.0},
    {"content": "Effectuation is possible.", "clarity": 0.0},
    {"content": "It is so.", "clarity": 0.4},
)


class Counting(WordVectors):
    """Counts how often something is embedded."""

    calls = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.calls += 1
        return super().embed(texts)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    write_model(tmp_path / "models", ("samples.jsonl", SEEDS))
    return Places(str(tmp_path / "models"), str(tmp_path / "samples"), tmp_path / "cache")


def look(places: Places, embedder: Counting | None = None, handle: str = HANDLE) -> ModelCondition:
    return examine_model(places, embedder or Counting(), handle).condition


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


def test_set_that_a_person_turned_down_did_not_fail_and_a_proposed_one_waits(places: Places) -> None:
    attach_set(store(places), "two", status="proposed")
    attach_set(store(places), "one", status="rejected", review={"why": "dull", "refused": 4}, age=-HOUR)
    found = look(places)

    assert found.last is not None
    assert ("turned down", "dull") == (found.last.status, found.last.said)
    assert (("two",), 0) == (found.proposed, found.traits[0].attached.total)


def test_sets_for_another_definition_are_told_from_those_for_todays(places: Places) -> None:
    today = digest_definition(load_model(places.models_uri, HANDLE))
    for run_id, inputs in (("today", {"definition": today}), ("before", {"definition": "other"}), ("unknown", {})):
        stamp = make_stamp(run_id)
        rows = [make_row(make_exemplar(f"{run_id} text"), stamp, None)]
        write_set(places.samples_uri, SampleSet(stamp, "train", "attached", "plan", rows, [], {}, {}, inputs))

    assert ("before",) == look(places).changed


def test_what_has_changed_is_measured_again_and_nothing_else(places: Places) -> None:
    attach_poles(store(places), POLE_TEXTS)
    embedder = Counting()
    first = look(places, embedder)
    attach_set(store(places), "rejected", status="rejected")
    again = look(places, embedder)

    assert (1, True, False) == (embedder.calls, first.fresh, again.fresh)
    assert first.measures == again.measures
    assert again.traits[0].measure is not None
    assert again.traits[0].measure.auc is not None

    attach_set(store(places), "another")
    fresh = [look(places, embedder).fresh]
    write_model(Path(places.models_uri), ("samples.jsonl", SEEDS + write_lines({"content": "Go.", "clarity": 1})))
    fresh.append(look(places, embedder).fresh)
    assert places.cache is not None
    for kept in (places.cache / FOLDER).iterdir():
        kept.write_text("{}")
    fresh.append(look(places, embedder).fresh)
    assert ([True] * 3, 4) == (fresh, embedder.calls)


def test_language_that_the_encoder_does_not_know_is_not_measured(places: Places) -> None:
    path = Path(places.models_uri) / HANDLE / "model.yaml"
    path.write_text(path.read_text() + "language: hi\n")
    attach_poles(store(places), POLE_TEXTS)
    embedder = Counting()
    found = look(places, embedder)

    assert found.measures is not None
    assert ("hi", False, 0) == (found.measures.language, found.measures.language_known, embedder.calls)


@pytest.mark.parametrize(
    ("name", "content", "said", "state"),
    [
        ("model.yaml", "traits: [{type: spectrum}]", f"{HANDLE}/model.yaml", "draft"),
        ("samples.jsonl", None, "which is not there", "draft"),
        ("lifecycle.json", '{"state": "asleep"}', "lifecycle.json", "unknown"),
        ("model.yaml", "traits: discover", "", "draft"),
    ],
)
def test_file_with_mistakes_is_a_fault_and_the_sets_count_all_the_same(
    places: Places, name: str, content: str | None, said: str, state: str
) -> None:
    attach_set(store(places), "one", 4)
    path = Path(places.models_uri) / HANDLE / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    found = look(places)

    assert Counts(2, 2) == found.traits[0].attached
    assert state == found.state
    if not said:
        # What is still to be written is no fault.
        assert ((), True) == (found.faults, "traits is 'discover'" in found.unwritten)
        return
    [fault] = found.faults
    assert said in fault.said
    assert (f"exemplars plan {HANDLE}",) == fault.commands


def test_manifest_that_cannot_be_read_is_a_fault_and_the_other_sets_count(places: Places) -> None:
    attach_set(store(places), "good", 4)
    broken = Path(attach_set(store(places), "broken", 4).folder)
    (broken / MANIFEST).write_text("{")
    found = look(places)

    assert ["exemplars verify"] == [command for fault in found.faults for command in fault.commands]
    assert Counts(2, 2) == found.traits[0].attached


@pytest.mark.parametrize("damage", ["gone", "altered", "blotted"])
def test_samples_that_were_damaged_are_a_fault(places: Places, damage: str) -> None:
    samples = Path(attach_set(store(places), "one", 4).folder) / SAMPLES
    content = samples.read_bytes()
    other = Path(attach_set(store(places), "two", 8).folder) / SAMPLES
    if damage == "gone":
        samples.unlink()
    elif damage == "altered":
        samples.write_bytes(other.read_bytes())
    else:
        # A page, which is found when its texts are measured.
        samples.write_bytes(content[:100] + bytes(300) + content[400:])
    found = look(places)

    command = "exemplars verify" if damage == "blotted" else "exemplars detach one"
    assert command in found.faults[0].commands
    assert "one" in found.faults[0].said or damage == "blotted"
    assert (damage == "blotted") == (found.measures is None)


def test_attached_sets_are_signed_by_the_hashes_that_they_have(places: Places) -> None:
    found = look(places)
    assert ((), None, {}, None) == (found.faults, found.last, found.sets, found.cost_usd)

    attach_set(store(places), "one", 4)
    attach_set(store(places), "held-out", 2, pool="eval")
    attach_set(store(places), "proposed", status="proposed")
    signed = examine_model(places, Counting(), HANDLE).signed
    assert [("one", "train", 4), ("held-out", "eval", 2)] == [
        (item.run_id, item.pool, len(item.signatures)) for item in signed
    ]
