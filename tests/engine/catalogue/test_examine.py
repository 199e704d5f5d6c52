"""A model is examined whole, whatever is wrong with it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.conditions import make_counts
from fakes.stored import HANDLE, NOON, PLAIN_TEXTS, STIFF_TEXTS, attach_set, write_lines, write_model

from engine.catalogue.condition import ModelCondition
from engine.catalogue.examine import SAME_AXIS, examine_model, list_all_handles
from engine.catalogue.page import LAST_FIELDS, describe_json
from engine.domain.finding import Finding, write_findings
from engine.store.changes import detach_set
from engine.store.layout import MANIFEST, SAMPLES, VERDICT
from engine.store.sample_set import seal
from engine.store.store import count_stored, list_sets

HOUR = timedelta(hours=1)
SEEDS = write_lines(
    {"content": "You can do it now.", "clarity": 1.0},
    {"content": "Effectuation is possible.", "clarity": 0.0},
    {"content": "It is so.", "clarity": 0.4},
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The sample store, beside a catalogue of one model."""
    write_model(tmp_path / "models", ("samples.jsonl", SEEDS))
    return tmp_path / "samples"


def look(store: Path, handle: str = HANDLE) -> ModelCondition:
    return examine_model(str(store.parent / "models"), str(store), handle)


def test_samples_are_counted_by_trait_pole_and_provenance(store: Path) -> None:
    finding = Finding("hardly_separated", "warning", "chance", "Read ten.", trait="clarity")
    probe = {"clarity": {"auc": 0.5}, "safety": {"auc": None}}
    warned = json.dumps({"probe": probe, "findings": write_findings((finding,))})
    good = json.dumps({"probe": {"clarity": {"auc": 0.9}}})
    attach_set(store, "good", 6, ("clarity", "safety", "gone"), documents={VERDICT: good})
    before = look(store).traits[0]
    attach_set(store, "warned", 16, documents={VERDICT: warned}, age=-HOUR)
    attach_set(store, "held-out", 2, pool="eval")
    condition = look(store)
    clarity, safety = condition.traits

    assert (make_counts(1, 1), make_counts(9, 9)) == (clarity.authored, clarity.attached)
    assert (2, 2) == (condition.sets, condition.set_aside)
    assert (0.9, "", 0.5, "chance. Read ten.") == (before.auc, before.inseparable, clarity.auc, clarity.inseparable)
    assert (None, "") == (safety.auc, safety.inseparable)


def test_samples_of_an_older_definition_are_counted(store: Path) -> None:
    older, apart, _ = attach_set(store, "one"), attach_set(store, "two", pool="eval"), attach_set(store, "three")
    for stored in (older, apart):
        file = Path(stored.folder) / MANIFEST
        file.write_bytes(seal(json.loads(file.read_text()) | {"inputs": {"meaning": "another"}}))

    assert count_stored([older]) == look(store).older_samples


def test_last_run_is_that_of_the_newest_set_whatever_came_of_it(store: Path) -> None:
    attach_set(store, "attached")
    documents = {VERDICT: json.dumps({"failed": ["3 exemplars are lacking"], "cost": {"usd": 0.5}})}
    attach_set(store, "rejected", status="rejected", documents=documents, age=-HOUR)
    condition = look(store)

    last = "rejected", "rejected", (NOON + HOUR).isoformat(), "from_traits", "low", "3 exemplars are lacking"
    assert last == tuple(describe_json([condition], NOON)["models"][0]["last"][name] for name in LAST_FIELDS)
    assert (1, 0.5) == (condition.sets, condition.cost_usd)
    # Money goes by when a set was written, not by when its run was due.
    now = datetime.now(UTC)
    assert all(now - HOUR < run.written_at <= now for run in condition.runs)
    assert [0.5] == [run.cost_usd for run in condition.runs if run.attached_at is None]


@pytest.mark.parametrize(
    ("name", "content", "message", "state"),
    [
        ("model.yaml", "traits: [{type: spectrum}]", f"{HANDLE}/model.yaml", "draft"),
        ("samples.jsonl", "no JSON", "samples.jsonl:1", "draft"),
        ("lifecycle.json", '{"state": "asleep"}', "lifecycle.json", "unknown"),
    ],
)
def test_file_with_mistakes_is_a_finding_and_sets_count(
    store: Path, name: str, content: str, message: str, state: str
) -> None:
    attach_set(store, "one", 4)
    (store.parent / "models" / HANDLE / name).write_text(content)
    condition = look(store)
    [fault] = condition.faults

    assert (1, state) == (condition.sets, condition.state)
    assert (True, (f"exemplars plan {HANDLE}",)) == (message in fault.message, fault.commands)
    (store.parent / "models" / HANDLE / "model.yaml").write_text("traits: discover")
    assert "empty" in [fault.kind for fault in look(store).faults]


def test_set_that_was_damaged_is_a_fault(store: Path) -> None:
    attach_set(store, "good", 4)
    (Path(attach_set(store, "gone", 2).folder) / SAMPLES).unlink()
    (Path(attach_set(store, "blank", 2, documents={VERDICT: "{"}).folder) / VERDICT).unlink()
    condition = look(store)
    (Path(attach_set(store, "broken", 4).folder) / MANIFEST).write_text("{")

    assert [("exemplars verify", "exemplars detach gone")] == [fault.commands for fault in condition.faults]
    assert make_counts(4, 4) == condition.traits[0].attached
    assert [("exemplars verify",)] == [fault.commands for fault in look(store).faults]


def test_samples_of_a_handle_that_the_catalogue_does_not_have_are_named(store: Path) -> None:
    attach_set(store, "run-gone", handle="u22a8.gone")
    (store / "handle=Not A Handle").mkdir()
    [fault] = look(store, "u22a8.gone").faults

    assert ["u22a8.gone", HANDLE] == list_all_handles(str(store.parent / "models"), str(store))
    assert ("broken", ("exemplars detach run-gone",)) == (fault.kind, fault.commands)
    detach_set(list_sets(str(store), "u22a8.gone", "train")[0])
    assert () == look(store, "u22a8.gone").faults


@pytest.mark.parametrize(("poles", "expected"), [((1.0, 0.0), 1.0), ((0.0, 1.0), -1.0)])
def test_traits_with_seeds_of_one_kind_measure_the_same(
    store: Path, poles: tuple[float, float], expected: float
) -> None:
    texts = (*PLAIN_TEXTS, *STIFF_TEXTS)
    seeds = [
        {"content": f"{text} {trait}", trait: at[index // len(PLAIN_TEXTS)]}
        for trait, at in (("clarity", (1.0, 0.0)), ("safety", poles))
        for index, text in enumerate(texts)
    ]
    (store.parent / "models" / HANDLE / "samples.jsonl").write_text(write_lines(*seeds))
    [(one, other, cosine)] = look(store).alike

    assert ({"clarity", "safety"}, True) == ({one.lower(), other.lower()}, SAME_AXIS <= abs(cosine) <= 1)
    assert expected * cosine > 0
