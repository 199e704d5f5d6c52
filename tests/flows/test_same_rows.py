"""Same inputs and same replies give the same rows, rejected ones too, and the same verdict."""

import pytest
from chaos.checker import list_differences
from fakes.provider import Behaviour, Provider
from fakes.workspace import Workspace

from engine.store.layout import VERDICT


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_second_run_of_a_plan_asks_nothing_and_makes_the_same(workspace: Workspace, provider: Provider) -> None:
    provider.behaviour = Behaviour(malformed=0.1, truncated=0.05, limited=0.1, filtered=0.05, misjudged=0.1)
    workspace.write_effort(judge_votes=1, replacement_rounds=1)
    workspace.variables["EXEMPLARS_JUDGE_MODEL"] = "openai/test"
    first = workspace.run()
    [folder] = workspace.list_sets()
    before = folder.rename(workspace.folder / "before")
    provider.forget()
    second = workspace.run()
    [after] = workspace.list_sets()

    assert 0 == provider.calls.total()
    assert [] == list_differences(before, after)
    verdict = (before / VERDICT).read_text().replace(first.run_id, second.run_id)
    assert (after / VERDICT).read_text() == verdict
