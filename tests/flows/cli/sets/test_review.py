"""A set that is proposed on the command line, and what ``exemplars review`` makes of it."""

import json

import pyarrow.parquet as pq
import pytest
from fakes.provider import Behaviour, Provider
from fakes.set_events import capture_set_events
from fakes.workspace import HANDLE, Workspace, read_manifest

from engine.settings import read_settings
from engine.store.decisions import keep_decision
from engine.store.layout import DECISIONS_FILE, PROPOSED, REJECTED, SAMPLES, VERDICT
from flows.cli.app import main
from flows.runtime.review import find_reviewable

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def propose(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert 0 == main(["synthesize", HANDLE, "--effort", "low", "--review", "--json"])
    told: dict[str, str] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return told


def test_reviewed_set_keeps_what_stands_and_is_made_again_byte_for_byte(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    told = propose(capsys)
    run_id, folder = told["run_id"], entered.find_set(told["run_id"])
    proposed = pq.read_table(told["samples"]).to_pylist()
    second = main(["synthesize", HANDLE, "--effort", "low", "--review"])
    turned_away = capsys.readouterr().err
    wrong = main(["review", run_id, "--attach", "--leave-out", "12"])
    unsaid = main(["review", run_id])
    capsys.readouterr()
    provider.forget()
    refused = [str(row["id"]) for row in proposed[:2]]
    code = main(["review", run_id, "--attach", "--leave-out", refused[0], "--leave-out", refused[1], "--json"])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = pq.read_table(folder / SAMPLES).to_pylist()
    rejected = pq.read_table(folder / REJECTED).to_pylist()
    asked = provider.calls.total()

    assert ("proposed", str(folder / PROPOSED)) == (told["status"], told["samples"])
    assert 3 == second
    assert f"The set of run {run_id} waits for a review" in turned_away
    assert (2, 2) == (wrong, unsaid)
    assert 0 == code
    assert ("attached", run_id) == (said["status"], said["run_id"])
    assert len(proposed) == len(rows)
    assert {row["id"] for row in proposed[2:]} < {row["id"] for row in rows}
    assert {*refused} == {str(row["id"]) for row in rejected if row["reason"] == "left_out"}
    assert 0 < asked < len(proposed)
    assert 2 == read_manifest(folder)["review"]["refused"]
    assert 0 == main(["verify"])
    assert 2 == main(["review", run_id, "--reject"])
    assert "is attached: it does not wait for a review" in capsys.readouterr().err


def test_whole_proposal_is_attached_without_a_call_or_rejected_for_good(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    with capture_set_events() as events:
        first = propose(capsys)["run_id"]
        provider.forget()
        assert 0 == main(["review", first, "--attach"])
        attached = capsys.readouterr().out
        asked = provider.calls.total()
        second = propose(capsys)["run_id"]
        texts = {row["text"] for row in pq.read_table(entered.find_set(second) / PROPOSED).to_pylist()}
        assert 0 == main(["review", second, "--reject", "--why", "another voice"])
        rejected = capsys.readouterr().out
        told = [(event.event.rpartition(".")[2], event.payload["run_id"]) for event in events()]
    third = propose(capsys)["run_id"]
    again = {row["text"] for row in pq.read_table(entered.find_set(third) / PROPOSED).to_pylist()}

    assert [("proposed", first), ("attached", first), ("proposed", second), ("rejected", second)] == told
    assert "16 attached" in attached
    assert 0 == asked
    assert "rejected by a review (another voice)" in rejected.lower()
    assert not (entered.find_set(second) / SAMPLES).exists()
    assert texts.isdisjoint(again)


def test_costs_of_the_proposal_and_of_what_came_after_add_up(
    entered: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_PRICE", "0.40/1.60")
    told = propose(capsys)
    run_id, folder = told["run_id"], entered.find_set(told["run_id"])
    before = json.loads((folder / VERDICT).read_text())["cost"]
    first = str(pq.read_table(told["samples"])["id"][0])
    assert 0 == main(["review", run_id, "--attach", "--leave-out", first])
    after = json.loads((folder / VERDICT).read_text())["cost"]
    rows = [*pq.read_table(folder / SAMPLES).to_pylist(), *pq.read_table(folder / REJECTED).to_pylist()]
    poles = [pole["usd"] for trait in after["by_trait"].values() for pole in trait.values()]

    assert after["replies"] > before["replies"]
    assert after["usd"] > before["usd"] > 0
    assert after["shared_usd"] >= 0
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(sum(poles))


def test_decisions_count_and_what_fails_the_gate_leaves_the_proposal_waiting(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    told = propose(capsys)
    run_id, folder = told["run_id"], entered.find_set(told["run_id"])
    stored = find_reviewable(read_settings(), run_id)
    first, second = (row["id"] for row in pq.read_table(told["samples"]).to_pylist()[:2])
    keep_decision(stored, first, "refuse", "key")
    keep_decision(stored, second, "accept", "key")
    provider.behaviour = Behaviour(malformed=1.0)
    failed = main(["review", run_id, "--attach"])
    said = capsys.readouterr().err
    waiting = read_manifest(folder)["status"]
    provider.behaviour = Behaviour()
    main(["cache", "clear", HANDLE])
    assert 0 == main(["review", run_id, "--attach"])
    ids = {row["id"] for row in pq.read_table(folder / SAMPLES).to_pylist()}

    assert (1, "proposed") == (failed, waiting)
    assert "The proposal still waits" in said
    assert first not in ids
    assert second in ids
    assert [first] == read_manifest(folder)["review"]["left_out"]
    assert 2 == len((folder / DECISIONS_FILE).read_text().splitlines())
    assert 0 == main(["verify"])


def test_accepted_texts_are_examples_of_later_runs(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = propose(capsys)
    stored = find_reviewable(read_settings(), told["run_id"])
    rows = pq.read_table(told["samples"]).to_pylist()
    accepted = [next(row for row in rows if row["pole"] == pole) for pole in ("positive", "negative")]
    for row in accepted:
        keep_decision(stored, row["id"], "accept", "key")
    assert 0 == main(["review", told["run_id"], "--attach"])
    plans = {}
    for teach in ("false", "true"):
        monkeypatch.setenv("EXEMPLARS_REVIEWS_TEACH", teach)
        capsys.readouterr()
        assert 0 == main(["plan", HANDLE, "--effort", "low", "--json"])
        plans[teach] = json.loads(capsys.readouterr().out)
    provider.bodies.clear()
    assert 0 == main(["synthesize", HANDLE, "--effort", "low"])
    shown = json.dumps(provider.bodies)

    assert plans["true"]["plan_id"] != plans["false"]["plan_id"]
    assert [False, True] == ["in earlier reviews (2)" in json.dumps(plans[teach]) for teach in ("false", "true")]
    assert all(row["text"] in shown for row in accepted)
