"""The author's suites in whole runs: what is not met keeps a set back, what is wrong ends a run before it asks."""

import json

import pandas as pd
import pytest
from fakes.provider import Provider
from fakes.workspace import Workspace, read_manifest

from engine.errors import DefinitionError, GateError, QuotaError
from engine.store.layout import REJECTED, REPORT, SAMPLES, VERDICT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
KIND = "expect_column_values_to_not_match_regex"
SOME = r"\b(?:wooden|old|quiet|rusty|small|yellow|heavy|gentle)\b"


def write_suite(
    workspace: Workspace, kind: str = KIND, severity: str = "critical", regex: str = "(?i)the", **more: object
) -> None:
    """Has the workspace's runs held against a suite of the author's."""
    folder = workspace.folder / "suites"
    folder.mkdir(exist_ok=True)
    workspace.variables["EXEMPLARS_EXPECTATIONS_URI"] = str(folder)
    kwargs = {"column": "text", "regex": regex, **more}
    item = {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"says": "no text names a competitor"}}
    (folder / "house.json").write_text(json.dumps({"name": "house", "expectations": [item]}))


def test_texts_that_break_a_rule_are_rejected_and_made_again(workspace: Workspace) -> None:
    # What a fifth of the provider's texts has.
    write_suite(workspace, regex=SOME)
    result = workspace.run()
    folder = workspace.find_set(result.run_id)
    kept, rejected = pd.read_parquet(folder / SAMPLES), pd.read_parquet(folder / REJECTED)
    own = rejected[rejected["reason"] == "own_rule"]

    assert [4, 4, 4, 4] == kept.groupby(["trait", "pole"]).size().tolist()
    assert not kept["text"].str.contains(SOME).any()
    assert 3 <= len(own)
    assert own["text"].str.contains(SOME).all()
    assert {f"house: no text names a competitor ({KIND})"} == {*own["detail"]}
    assert rejected[rejected["reason"] != "own_rule"]["detail"].isna().all()


def test_rule_that_nearly_everything_breaks_ends_the_run_and_one_that_is_corrected_asks_nothing(
    workspace: Workspace, provider: Provider
) -> None:
    write_suite(workspace)
    with pytest.raises(
        QuotaError, match=r"the rule “house: no text names .* rejected \d+ of \d+ texts that it checked, such as “"
    ):
        workspace.run()
    [rejected] = workspace.list_sets()
    asked = provider.calls.total()
    provider.forget()
    write_suite(workspace, severity="warning")
    result = workspace.run()
    folder = workspace.find_set(result.run_id)

    # One call for subjects, and the first round alone.
    assert 33 == asked
    assert not list(rejected.rglob(SAMPLES))
    assert "no text names a competitor" in (rejected / REPORT).read_text().lower()
    assert 0 == provider.calls.total()
    assert "house" in {finding.suite for finding in result.findings}
    assert ["run", "whole", "house"] == list(json.loads((folder / VERDICT).read_text())["suites"])
    assert ["house"] == list(read_manifest(folder)["inputs"]["expectations"])


def test_expectation_of_the_set_as_a_whole_keeps_it_back_at_the_gate(workspace: Workspace) -> None:
    write_suite(workspace, mostly=0.9)
    with pytest.raises(GateError, match=r"The suite 'house' expected that no text names a competitor: \d+ of 16 rows"):
        workspace.run()


def test_suite_with_a_mistake_ends_the_run_before_anything_is_asked(workspace: Workspace, provider: Provider) -> None:
    write_suite(workspace, f"{KIND}p")
    with pytest.raises(DefinitionError, match=f"Did you mean '{KIND}'"):
        workspace.run()

    assert (0, []) == (provider.calls.total(), workspace.list_sets())
