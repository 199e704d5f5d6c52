"""A set that is proposed on the command line, and what ``exemplars review`` makes of it."""

import getpass
import json
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from fakes.commands import Command
from fakes.provider import Provider
from fakes.set_events import capture_set_events
from fakes.workspace import HANDLE, MODEL, Workspace, read_manifest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey

from engine.domain.samples import make_id
from engine.settings import read_settings
from engine.store.layout import DECISIONS, PROPOSED, REPORT, SAMPLES, VERDICT
from engine.store.proposals import keep_decision
from flows.review.waiting import find_reviewable

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
LOW = (HANDLE, "--effort", "low")
NOTHING_PASSES = {
    "name": "none",
    "expectations": [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 0}, "severity": "critical"}],
}
CORRECTED = "We wrote this sentence ourselves, and nobody else has written it before."
OLDER = f"was made for an older definition of {HANDLE} than the present one"
PROPOSE = ("synthesize", *LOW, "--review")


def read_verdict_page(run_id: str) -> str:
    its = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]), key=ArtifactFilterKey(any_=["verdict"])
    )
    with get_client(sync_client=True) as client:
        [found] = client.read_artifacts(artifact_filter=its)
    return str(found.data)


def test_reviewed_set_keeps_what_stands_is_filled_up_and_teaches_later_runs(
    entered: Workspace, provider: Provider, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run_command(*PROPOSE, "--json").facts
    run_id, folder = told["run_id"], entered.find_set(told["run_id"])
    first, second, *others = pq.read_table(told["samples"]).to_pylist()
    documents = {name: (folder / name).read_bytes() for name in (VERDICT, REPORT)}
    wrong = [
        run_command(*PROPOSE),
        run_command("review", run_id, "--attach", "--leave-out", "12"),
        run_command("review", run_id),
    ]
    accepted = {next(row["id"] for row in others if row["pole"] == pole) for pole in ("positive", "negative")}
    # One is refused by a decision that was kept, one by the command.
    keep_decision(find_reviewable(read_settings(), run_id), first["id"], "refuse", "key")
    for sample_id in accepted:
        keep_decision(find_reviewable(read_settings(), run_id), sample_id, "accept", "key")
    # One is refused with a message and changes nothing, the other is kept.
    corrected = ("review", run_id, "--correct", str(others[0]["id"]))
    corrections = [run_command(*corrected, text, "--json") for text in ("Short.", CORRECTED)]
    options = ("--attach", "--leave-out", str(second["id"]))
    own = entered.folder / "suites"
    own.mkdir()
    (own / "none.json").write_text(json.dumps(NOTHING_PASSES))
    monkeypatch.setenv("EXEMPLARS_EXPECTATIONS_URI", str(own))
    failed = run_command("review", run_id, *options)
    waiting = read_manifest(folder)["status"]
    monkeypatch.delenv("EXEMPLARS_EXPECTATIONS_URI")
    provider.forget()
    said, filled = map(json.loads, run_command("review", run_id, *options, "--fill", "--json").out.splitlines())
    asked = provider.calls.total()
    rows = pq.read_table(folder / SAMPLES).to_pylist()
    page = read_verdict_page(run_id)
    again = run_command("review", run_id, "--reject")
    plans = {}
    for teach in ("false", "true"):
        monkeypatch.setenv("EXEMPLARS_REVIEWS_TEACH", teach)
        plans[teach] = run_command("plan", *LOW, "--json").facts

    assert ("proposed", str(folder / PROPOSED)) == (told["status"], told["samples"])
    assert f"The set of run {run_id} waits for a review" in wrong[0].message
    assert [3, 2, 2] == [ended.code for ended in wrong]
    assert (1, "proposed") == (failed.code, waiting)
    assert f"correct again or leave out what breaks a rule of {others[0]['id']}\n" in failed.message
    assert (run_id, "proposed") == tuple(json.loads(corrections[1].out)[name] for name in ("run_id", "status"))
    assert ("attached", run_id, "attached") == (said["status"], said["run_id"], filled["status"])
    assert [2, 0] == [ended.code for ended in corrections]
    assert "stays as it was, since the new one breaks a rule, too short" in corrections[0].message
    assert {CORRECTED, *(row["text"] for row in others[1:])} == {row["text"] for row in rows}
    assert {make_id(HANDLE, row["trait"], row["text"]) for row in rows} == {row["id"] for row in rows}
    assert (2, True) == (len(pq.read_table(filled["samples"])), 0 < asked < len(rows))
    assert {first["id"], second["id"]} == {*read_manifest(folder)["review"]["refused"]}
    assert 4 == len((folder / DECISIONS).read_text().splitlines())
    # The card says who changed what, and all that a set's own has.
    number = make_id(HANDLE, others[0]["trait"], CORRECTED)
    assert f"# {HANDLE}: 14 attached" in page
    assert f"**Attached by {getpass.getuser()}, " in page
    assert f"- 2 left out: {first['id']} by key and {second['id']}\n" in page
    assert f"- 1 corrected: {others[0]['id']} (now {number}) by" in page
    for said in ("## Next", str(folder / REPORT), "pd.read_parquet", "**Clarity, Clear**: ", "surplus: ", "## Cost: "):
        assert said in page
    assert documents == {name: (folder / name).read_bytes() for name in documents}
    assert 0 == run_command("verify").code
    assert (2, True) == (again.code, "is attached: it does not wait for a review" in again.message)
    assert plans["true"]["plan_id"] != plans["false"]["plan_id"]
    assert [False, True] == ["in earlier reviews (2)" in json.dumps(plans[teach]) for teach in ("false", "true")]


def test_whole_proposal_is_attached_without_a_call_or_rejected_for_good(
    entered: Workspace, provider: Provider, run_command: Command
) -> None:
    with capture_set_events() as events:
        proposed = run_command(*PROPOSE)
        [run] = entered.list_sets()
        first = run.name.removeprefix("run=")
        provider.forget()
        attached = run_command("review", first, "--attach")
        asked = provider.calls.total()
        second = run_command(*PROPOSE, "--json").facts["run_id"]
        texts = {row["text"] for row in pq.read_table(entered.find_set(second) / PROPOSED).to_pylist()}
        rejected = run_command("review", second, "--reject", "--why", "another voice")
        told = [(event.event.rpartition(".")[2], event.payload["run_id"]) for event in events()]
    third = run_command(*PROPOSE, "--json").facts["run_id"]
    again = {row["text"] for row in pq.read_table(entered.find_set(third) / PROPOSED).to_pylist()}
    (entered.model / "model.yaml").write_text(MODEL.replace("speak of safety", "say how to stay safe"))
    late = run_command("review", third, "--attach")

    assert f"  exemplars review {first} --reject\n" in proposed.out
    assert [("proposed", first), ("attached", first), ("proposed", second), ("rejected", second)] == told
    assert (0, True) == (attached.code, "16 attached" in attached.out)
    assert 0 == asked
    assert (0, True) == (rejected.code, "rejected by a review (another voice)" in rejected.out.lower())
    assert not (entered.find_set(second) / SAMPLES).exists()
    assert texts.isdisjoint(again)
    assert (0, 0) == (attached.err.count(OLDER), late.code)
    assert OLDER in " ".join(late.err.split())
