"""Whole runs with a decision model as judge, against a stub of both forms: costs, rows, and a second start."""

import json
from pathlib import Path

import pandas as pd
import pytest
from fakes.provider import PROBABILITY, PROMPT_TOKENS, Behaviour, Provider, is_vote
from fakes.workspace import Workspace, make_workspace

from engine.errors import QuotaError
from engine.store.layout import REJECTED, SAMPLES, VERDICT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
OWN = {"EXEMPLARS_JUDGE_MODEL": "openai/test", "EXEMPLARS_JUDGE_STYLE": "decision"}
OWN["EXEMPLARS_JUDGE_PRICE"] = "0.001/query"
LISTED = {"EXEMPLARS_JUDGE_MODEL": "typesafe/jev-latest"}


def make_judged(folder: Path, provider: Provider, judge: dict[str, str]) -> Workspace:
    workspace = make_workspace(folder, provider, EXEMPLARS_JUDGE_API_BASE=provider.url, **judge)
    workspace.variables["EXEMPLARS_JUDGE_API_KEY"] = "sk-judge"
    workspace.write_effort(judge_votes=3)
    return workspace


@pytest.mark.parametrize(("judge", "call_usd"), [(OWN, 0.001), (LISTED, PROMPT_TOKENS * 4.2e-8)])
def test_each_text_is_decided_once_and_paid_for(
    tmp_path: Path, provider: Provider, judge: dict[str, str], call_usd: float
) -> None:
    workspace = make_judged(tmp_path, provider, judge | {"EXEMPLARS_SYNTH_PRICE": "0/0"})
    provider.behaviour = Behaviour(misjudged=0.1, undecided=0.1, limited=0.1)
    folder = workspace.find_set(workspace.run().run_id)
    kept, rejected = pd.read_parquet(folder / SAMPLES), pd.read_parquet(folder / REJECTED)
    ballots = [json.loads(votes) for votes in [*kept["judge_votes"], *rejected["judge_votes"].dropna()]]
    decided = [body for body in provider.bodies if "questions" in body]
    cost = json.loads((folder / VERDICT).read_text())["cost"]["usd"]

    assert [4, 4, 4, 4] == kept.groupby(["trait", "pole"]).size().tolist()
    assert {"wrong_label", "off_pole"} <= {*rejected["reason"]}
    assert {(judge["EXEMPLARS_JUDGE_MODEL"], PROBABILITY)} == {
        (vote["judge"], vote["probability"]) for [vote] in ballots
    }
    assert len(ballots) + 8 == len(decided) - sum(
        provider.limited[prompt] for prompt in provider.limited if is_vote(prompt)
    )
    assert call_usd == pytest.approx(kept["cost_usd"].min())
    assert (len(ballots) + 8) * call_usd == pytest.approx(cost)


def test_second_start_asks_nothing_and_decides_alike(tmp_path: Path, provider: Provider) -> None:
    workspace = make_judged(tmp_path, provider, LISTED)
    workspace.write_effort(exemplars_per_pole=2, top_up_rounds=0, judge_votes=1)
    provider.behaviour = Behaviour(misjudged=1.0)
    for _ in range(2):
        with pytest.raises(QuotaError, match=r"wrong label \(such as: the judge's votes: "):
            workspace.run()
    first, second = (pd.read_parquet(folder / REJECTED)["judge_votes"] for folder in workspace.list_sets())

    assert 0 == provider.repeated
    pd.testing.assert_series_equal(first, second)
