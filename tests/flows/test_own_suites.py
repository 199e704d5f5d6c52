"""The author's suites in whole runs: what is not met keeps a set back, what is wrong ends a run before it asks."""

import json

import pytest
from fakes.provider import Provider
from fakes.workspace import Workspace, read_manifest

from engine.errors import DefinitionError, GateError
from engine.store.layout import REPORT, SAMPLES, VERDICT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
KIND = "expect_column_values_to_not_match_regex"


def write_suite(workspace: Workspace, kind: str = KIND, severity: str = "critical") -> None:
    """Has the workspace's runs held against a suite of the author's, which most of their texts do not meet."""
    folder = workspace.folder / "suites"
    folder.mkdir(exist_ok=True)
    workspace.variables["EXEMPLARS_EXPECTATIONS_URI"] = str(folder)
    kwargs = {"column": "text", "regex": "(?i)the"}
    item = {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"says": "no text names a competitor"}}
    (folder / "house.json").write_text(json.dumps({"name": "house", "expectations": [item]}))


def test_suite_that_is_not_met_keeps_the_set_back_and_one_that_is_corrected_asks_nothing(
    workspace: Workspace, provider: Provider
) -> None:
    write_suite(workspace)
    with pytest.raises(GateError, match=r"The suite 'house' expected that no text names a competitor: \d+ of 16 rows"):
        workspace.run()
    [rejected] = workspace.list_sets()
    provider.forget()
    write_suite(workspace, severity="warning")
    result = workspace.run()
    folder = workspace.find_set(result.run_id)

    assert not list(rejected.rglob(SAMPLES))
    assert "no text names a competitor" in (rejected / REPORT).read_text().lower()
    assert 0 == provider.calls.total()
    assert any(warning.startswith("The suite 'house' expected that") for warning in result.warnings)
    assert ["run", "whole", "house"] == list(json.loads((folder / VERDICT).read_text())["suites"])
    assert ["house"] == list(read_manifest(folder)["inputs"]["expectations"])


def test_suite_with_a_mistake_ends_the_run_before_anything_is_asked(workspace: Workspace, provider: Provider) -> None:
    write_suite(workspace, f"{KIND}p")
    with pytest.raises(DefinitionError, match=f"Did you mean '{KIND}'"):
        workspace.run()

    assert (0, []) == (provider.calls.total(), workspace.list_sets())
