"""The author's questions and sense in whole runs: what the judge objects to is rejected, and made again."""

import json
from pathlib import Path

import pandas as pd
import pytest
from fakes.provider import Behaviour, Provider
from fakes.workspace import Workspace, make_workspace

from engine.errors import InputError, QuotaError
from engine.store.layout import REJECTED, REPORT, SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
QUESTION = "Does it name a competitor?"


@pytest.fixture
def workspace(tmp_path: Path, provider: Provider) -> Workspace:
    workspace = make_workspace(tmp_path, provider, EXEMPLARS_JUDGE_MODEL="openai/test")
    definition = workspace.model / "model.yaml"
    definition.write_text(f"{definition.read_text()}questions:\n  - {{ask: '{QUESTION}', expect: no}}\n")
    return workspace


def test_judge_that_is_right_nine_times_in_ten_leaves_the_quota_exact(workspace: Workspace, provider: Provider) -> None:
    provider.behaviour = Behaviour(senseless=0.1, matching=0.2, mistaken=0.1)
    result = workspace.run()
    folder = workspace.find_set(result.run_id)
    kept, rejected = pd.read_parquet(folder / SAMPLES), pd.read_parquet(folder / REJECTED)
    [vote] = json.loads(kept["judge_votes"][0])
    reasons = rejected["reason"].value_counts()

    # At effort low without questions nobody votes.
    assert [4, 4, 4, 4] == kept.groupby(["trait", "pole"]).size().tolist()
    assert {QUESTION: False} == vote["questions"]
    assert 1 <= reasons["own_question"]
    assert {QUESTION} == {*rejected[rejected["reason"] == "own_question"]["detail"]}
    assert "8 texts, of which half make sense" in (folder / REPORT).read_text()


def test_judge_that_always_says_yes_ends_the_run_by_the_question(workspace: Workspace, provider: Provider) -> None:
    provider.behaviour = Behaviour(always_yes=True)
    with pytest.raises(QuotaError, match=r"the question “Does it name a competitor\?” rejected (\d+) of \1 texts"):
        workspace.run()
    [folder] = workspace.list_sets()

    assert "It was not asked whether the set's texts make sense" in (folder / REPORT).read_text().replace("&#39;", "'")


def test_questions_without_a_chat_judge_end_the_run_before_anything_is_asked(
    workspace: Workspace, provider: Provider
) -> None:
    del workspace.variables["EXEMPLARS_JUDGE_MODEL"]
    with pytest.raises(InputError, match=r"the questions in its model\.yaml are answered by a chat judge"):
        workspace.run()

    assert 0 == provider.calls.total()
