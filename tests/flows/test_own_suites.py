"""The author's suites in whole runs: what is not met keeps a set back, what is wrong ends a run before it asks."""

import json

import pytest
from fakes.provider import Provider
from fakes.workspace import Workspace

from engine.errors import DefinitionError, GateError
from engine.store.layout import MANIFEST, REPORT, SAMPLES, VERDICT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def write_suite(workspace: Workspace, pattern: str, severity: str = "critical") -> None:
    """Has the workspace's runs held against a suite of the author's: no text matches the pattern."""
    folder = workspace.folder / "suites"
    folder.mkdir(exist_ok=True)
    workspace.variables["EXEMPLARS_EXPECTATIONS_URI"] = str(folder)
    item = {
        "type": "expect_column_values_to_not_match_regex",
        "kwargs": {"column": "text", "regex": pattern},
        "severity": severity,
        "meta": {"says": "no text names a competitor"},
    }
    (folder / "house.json").write_text(json.dumps({"name": "house", "expectations": [item]}))


def test_verdict_has_the_suites_and_the_manifest_their_digests(workspace: Workspace) -> None:
    write_suite(workspace, "Globex")
    workspace.run()
    [folder] = workspace.list_sets()

    assert ["run", "whole", "house"] == list(json.loads((folder / VERDICT).read_text())["suites"])
    assert ["house"] == list(json.loads((folder / MANIFEST).read_text())["inputs"]["expectations"])


def test_suite_that_is_not_met_keeps_the_set_back_and_one_that_is_corrected_asks_nothing(
    workspace: Workspace, provider: Provider
) -> None:
    write_suite(workspace, "(?i)the")
    with pytest.raises(GateError, match=r"The suite 'house' expected that no text names a competitor: \d+ of 16 rows"):
        workspace.run()
    [folder] = workspace.list_sets()
    provider.forget()
    write_suite(workspace, "(?i)the", severity="warning")
    result = workspace.run()

    assert not list(folder.rglob(SAMPLES))
    assert "no text names a competitor" in (folder / REPORT).read_text().lower()
    assert 0 == provider.calls.total()
    assert any(warning.startswith("The suite 'house' expected that") for warning in result.warnings)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("not_match_regex", "not_match_regexp", "Did you mean 'expect_column_values_to_not_match_regex'"),
        ('"regex"', '"row_condition": "@pd", "regex"', r"kwargs\.row_condition: found '@pd'; allowed: a condition"),
    ],
)
def test_suite_with_a_mistake_ends_the_run_before_anything_is_asked(
    workspace: Workspace, provider: Provider, right: str, wrong: str, said: str
) -> None:
    write_suite(workspace, "Globex")
    path = workspace.folder / "suites/house.json"
    path.write_text(path.read_text().replace(right, wrong))
    with pytest.raises(DefinitionError, match=said):
        workspace.run()

    assert (0, []) == (provider.calls.total(), workspace.list_sets())
