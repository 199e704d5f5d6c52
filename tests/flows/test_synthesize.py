"""The main job, called for real: a Prefect server, the gate, Parquet, and a provider over HTTP that is told to fail."""

import hashlib
import json
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from fakes.provider import Behaviour, Provider, answer, is_vote
from fakes.reply_tables import place_in
from fakes.waiting import wait_until
from fakes.workspace import (
    HANDLE,
    TRAITS,
    Workspace,
    count_poles,
    make_workspace,
    read_kept,
    read_manifest,
    read_rejected,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.client.schemas.sorting import ArtifactSort

from engine.domain.finding import read_findings
from engine.domain.model import POLES
from engine.errors import BudgetError, FrozenModelError, QuotaError
from engine.llm.replies.admin import list_cache
from engine.report.wording import state_headline
from engine.rules.rules import RULES_BY_CODE

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SHAKY = Behaviour(malformed=0.1, truncated=0.05, limited=0.1, seconds=0.02)
MAX_TASKS_A_ROUND = 16
STEPS_BESIDE_GENERATE = len(("load", "plan", "screen", "check", "write"))
IN_WORDS = "\n\nAnswer with one JSON object"
# A call of the provider's 400 and 80 tokens costs $0.000288 at this model's price.
PRICED, CALL_USD = "openai/gpt-4.1-mini", 0.000288


def expect_counts(wanted: int) -> dict[tuple[str, str], int]:
    return {(trait, pole): wanted for trait in TRAITS for pole in sorted(POLES)}


def list_cell_prompts(provider: Provider) -> list[str]:
    return [prompt for prompt in provider.calls if "Propose" not in prompt]


def list_last_prompts(provider: Provider) -> list[str]:
    """The prompts of the cells, each as it was last asked: what was no JSON is asked for in words."""
    prompts = list_cell_prompts(provider)
    asked_again = {prompt.partition(IN_WORDS)[0] for prompt in prompts if IN_WORDS in prompt}
    return [prompt for prompt in prompts if prompt not in asked_again]


def read_verdict(folder: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads((folder / "__run__" / "verdict.json").read_text())
    return verdict


def list_votes(frame: pd.DataFrame) -> list[list[str]]:
    """The votes of each row that has any."""
    return [[entry["vote"] for entry in json.loads(text)] for text in frame["judge_votes"].dropna()]


def read_flow_run(run_id: str) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(run_id))


def read_page(run_id: str) -> dict[str, Artifact]:
    """The artifacts of a run by their keys, in the order of the run page."""
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=its, sort=ArtifactSort.ID_DESC)
    return {artifact.key: artifact for artifact in found if artifact.key}


def list_task_runs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The names of the task runs that ended, by their log: Prefect may lose a record on its way to a busy server."""
    ended = [record for record in caplog.records if record.name == "prefect.task_runs"]
    return [vars(record)["task_run_name"] for record in ended if "Finished in state" in record.message]


def test_quotas_are_exact_where_a_quarter_of_the_calls_fails(workspace: Workspace, provider: Provider) -> None:
    provider.behaviour = SHAKY
    workspace.write_effort(exemplars_per_pole=8)
    result = workspace.run()
    [folder] = workspace.list_sets()
    kept, rejected, prompts = read_kept(folder), read_rejected(folder), list_last_prompts(provider)
    rows = pd.concat([kept, rejected])
    store = pd.read_parquet(workspace.samples)

    assert ("attached", expect_counts(8)) == (result.status, dict(result.kept))
    assert expect_counts(8) == count_poles(kept)
    assert {hashlib.sha256(prompt.encode()).hexdigest() for prompt in prompts} == set(rows["prompt_sha256"])
    assert 4 * 8 * 2 <= len(rows) == rows["prompt_sha256"].nunique()
    assert (32, set(kept["id"]), {"synthesized"}) == (len(store), set(store["id"]), set(store["provenance"]))

    # Of whole replies the text alone is kept; what the rules reject of them is another matter.
    finishes = [answer(prompt, SHAKY) for prompt in prompts]
    truncated = sum(finish == "length" for _, finish in finishes)
    malformed = sum(finish == "stop" and not text.startswith('{"text":') for text, finish in finishes)
    reasons = Counter(rejected["reason"][rejected["text"].str.startswith("{")])
    assert (malformed, truncated) == (reasons["unreadable"], reasons["truncated"])
    assert truncated > 0

    # What is no use is asked for otherwise; nothing else is asked twice but what was sent away.
    asked = list_cell_prompts(provider)
    spoiled = [prompt for prompt in asked if not answer(prompt, SHAKY)[0].startswith('{"text":')]
    in_words = [prompt for prompt in asked if IN_WORDS in prompt]
    again = provider.calls.total() - len(provider.calls) - provider.roomier.total() - provider.spoiled.total()
    assert 0 < len(in_words) == len([prompt for prompt in spoiled if IN_WORDS not in prompt])
    assert 0 < provider.roomier.total()
    assert (0, provider.limited.total()) == (provider.repeated, again)
    assert again > 0


def test_what_a_run_says_of_itself_agrees_on_its_page_and_to_its_caller(
    workspace: Workspace, provider: Provider
) -> None:
    provider.behaviour = SHAKY
    result = workspace.run()
    [folder] = workspace.list_sets()
    verdict, rejected, state = read_verdict(folder), read_rejected(folder), read_flow_run(result.run_id).state
    found = read_page(result.run_id)
    page = str(found["verdict"].data)

    assert state is not None
    assert ("COMPLETED", result.headline) == (state.type.value, state.message)
    assert state_headline(16, result.findings, "from_traits") == result.headline
    assert read_findings(verdict) == result.findings
    assert result.rejected + result.spare == len(rejected)
    assert 0 < result.spare == sum(rejected["reason"] == "surplus")
    assert {"verdict", "progress"} == set(found)
    assert (100.0, "Done") == (float(str(found["progress"].data)), found["progress"].description)
    assert f"# {HANDLE}: {result.headline}\n\n**4 for each pole of 2 traits; " in page
    assert all(place in page for place in (result.samples, result.report))


def test_many_cells_make_few_task_runs_and_few_calls_at_once(
    tmp_path: Path, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.behaviour = Behaviour(seconds=0.02)
    workspace = make_workspace(tmp_path, provider, EXEMPLARS_CONCURRENCY="7")
    workspace.write_effort(exemplars_per_pole=30)
    workspace.run()
    [folder] = workspace.list_sets()
    rows = pd.concat([read_kept(folder), read_rejected(folder)])
    rounds = int(rows["attempt"].max())
    names = list_task_runs(caplog)
    batches = [name for name in names if ": generate " in name]

    assert expect_counts(30) == count_poles(read_kept(folder))
    # A call is noted in the database before it is made: on busy cores the seventh may come when the first has ended.
    assert 5 <= provider.most_in_flight <= 7
    assert len(batches) <= MAX_TASKS_A_ROUND * rounds
    assert STEPS_BESIDE_GENERATE + rounds - 1 == len(names) - len(batches)
    assert len(names) == len(set(names))


def test_budget_stops_a_run_that_goes_on_when_it_is_raised(tmp_path: Path, provider: Provider) -> None:
    poor = make_workspace(tmp_path, provider, EXEMPLARS_SYNTH_MODEL=PRICED, EXEMPLARS_MAX_COST_USD="0.004")
    provider.behaviour = Behaviour(seconds=0.1)
    place = place_in(tmp_path / "cache")
    needed = r"The rest would need about \$[\d.]+ more, a limit of \$[\d.]+ in all"
    with pytest.raises(BudgetError, match=rf"limit of \$0\.004 is reached.*EXEMPLARS_MAX_COST_USD.*{needed}"):
        poor.run()
    plans = {plan.plan_id for plan in list_cache(place)}
    paid = provider.calls.total()
    sets = poor.list_sets()
    replace(poor, variables=poor.variables | {"EXEMPLARS_MAX_COST_USD": "1"}).run()
    [folder] = poor.list_sets()

    assert [] == sets
    assert 1 < paid <= math.floor(0.004 / CALL_USD)
    assert 0 == provider.repeated
    assert read_manifest(folder)["plan_id"] in plans
    assert plans == {plan.plan_id for plan in list_cache(place)}
    assert {CALL_USD} == {round(cost, 9) for cost in read_kept(folder)["cost_usd"]}


def test_judge_rejects_what_it_finds_at_another_pole_and_rows_with_their_votes_are_the_whole_cost(
    tmp_path: Path, provider: Provider
) -> None:
    priced = {"EXEMPLARS_SYNTH_PRICE": "0.40/1.60", "EXEMPLARS_JUDGE_MODEL": "openai/test"}
    workspace = make_workspace(tmp_path, provider, **priced)
    workspace.write_effort(judge_votes=3)
    provider.behaviour = Behaviour(misjudged=0.2, undecided=0.1, placed=0.2, malformed=0.05, filtered=0.1)
    workspace.run()
    [folder] = workspace.list_sets()
    kept, rejected, verdict = read_kept(folder), read_rejected(folder), read_verdict(folder)
    judge, cost = verdict["judge"], verdict["cost"]
    asked = [prompt for prompt in provider.calls if is_vote(prompt)]
    votes = list_votes(kept) + list_votes(rejected)
    paid = kept["cost_usd"].sum() + rejected["cost_usd"].sum()

    assert expect_counts(4) == count_poles(kept)
    assert all(
        2 * [row["pole"]] == said[:2] for row, said in zip(kept.to_dict("records"), list_votes(kept), strict=True)
    )
    assert {"wrong_label", "off_pole", "surplus", "refused"} <= set(rejected["reason"])
    assert rejected["judge_votes"].notna().eq(rejected["reason"].isin(["wrong_label", "off_pole", "surplus"])).all()
    assert ("openai/test", len(votes), sum(map(len, votes))) == (judge["judge"], judge["texts"], judge["votes"])
    assert 0 < judge["disagreements"]
    # Two prompts a text, and eight by which the judge was tried.
    assert len(votes) * 2 + 8 == len(asked) <= sum(provider.calls[prompt] for prompt in asked)

    # The cheapest text took one call and two votes.
    assert 3 * CALL_USD == pytest.approx(kept["cost_usd"].min())
    # One call for subjects and eight by which the judge was tried belong to no row.
    assert cost["usd"] == pytest.approx(paid + 9 * CALL_USD)
    assert (cost["usd"] / 16, 1.0) == (pytest.approx(cost["per_kept_sample_usd"]), cost["limit_usd"])


def test_second_start_of_a_judged_run_asks_nothing_and_judges_alike(tmp_path: Path, provider: Provider) -> None:
    workspace = make_workspace(tmp_path, provider, EXEMPLARS_JUDGE_MODEL="openai/test")
    workspace.write_effort(exemplars_per_pole=2, top_up_rounds=0, judge_votes=1)
    provider.behaviour = Behaviour(misjudged=1.0)
    for _ in range(2):
        with pytest.raises(QuotaError, match=r"wrong label \(such as: the judge's votes: "):
            workspace.run()
    first, second = (read_rejected(folder).drop(columns=["run_id", "created_at"]) for folder in workspace.list_sets())

    assert 0 == provider.repeated
    pd.testing.assert_frame_equal(first, second)


def test_first_round_of_which_nothing_can_be_used_ends_the_run_and_is_not_paid_for_again(
    workspace: Workspace, provider: Provider
) -> None:
    provider.behaviour = Behaviour(style="empty")
    workspace.write_effort(exemplars_per_pole=2, top_up_rounds=4)
    with pytest.raises(QuotaError) as failure:
        workspace.run()
    asked = provider.calls.total()
    with pytest.raises(QuotaError) as again:
        workspace.run()
    first, second = workspace.list_sets()
    manifest, state = read_manifest(first), read_flow_run(str(read_manifest(first)["run_id"])).state

    assert "safety, positive: 0 of 2 for 'About safety', 2 lacking after 1 round." in str(failure.value)
    assert "none of the 16 replies of the first round can be used (" in str(failure.value)
    assert f"; no more were requested, since {RULES_BY_CODE['unreadable'].remedy}" in str(failure.value)
    assert {"unreadable"} == set(read_rejected(first)["reason"])
    # The subjects, and each text once more in words.
    assert 1 + 16 * 2 == asked == provider.calls.total()
    assert ["rejected", "rejected"] == [manifest["status"], read_manifest(second)["status"]]
    assert [] == [path for path in workspace.list_files() if path.name == "samples.parquet"]
    assert state is not None
    assert "FAILED" == state.type.value
    assert str(state.message).startswith(f"{HANDLE}: nothing attached: none of the 16 replies of the first round can ")
    assert "\n" not in str(state.message)
    # Below the reasons stands the report's own path.
    assert str(failure.value).partition("The rejected rows")[0] == str(again.value).partition("The rejected rows")[0]


def test_model_that_is_trained_while_a_run_goes_on_gets_nothing(workspace: Workspace, provider: Provider) -> None:
    workspace.write_effort(exemplars_per_pole=1)
    provider.behaviour = Behaviour(hold_after=0)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(workspace.run)
        wait_until(lambda: provider.calls or running.done(), what="the run asks")
        (workspace.model / "lifecycle.json").write_text('{"state": "ready", "version_id": 1, "version_no": 1}')
        provider.behaviour = Behaviour()
        with pytest.raises(FrozenModelError, match=f"{HANDLE} is 'ready', not a draft"):
            running.result()

    assert provider.answers.total() > 0
    assert [] == workspace.list_files()
