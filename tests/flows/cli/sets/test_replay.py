"""A set made again from its kept replies is the same byte for byte, wherever and whenever; what has changed is said."""

import asyncio
import json
from pathlib import Path

import pytest
from fakes.provider import Behaviour, Provider
from fakes.reply_tables import run_sql
from fakes.workspace import Workspace

from engine.errors import DefinitionError, GateError, InputError, ReplayError
from engine.run.replay import Comparison
from engine.settings import RepliesPlace, read_settings
from engine.store.layout import MANIFEST, REPORT, SAMPLES, VERDICT
from engine.store.sample_set import seal
from flows.cli.sets.replay import describe_comparison, replay_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SHAKY = Behaviour(malformed=0.1, truncated=0.05, limited=0.1, filtered=0.05)


def replay(workspace: Workspace, run_id: str, target: Path | None = None, **variables: str) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        workspace.enter(patch)
        for name, value in variables.items():
            patch.setenv(name, value)
        return asyncio.run(replay_run(read_settings(), run_id, str(target) if target else None))


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_set_is_made_again_byte_for_byte_in_another_folder_and_nothing_is_asked(
    workspace: Workspace, provider: Provider, tmp_path: Path
) -> None:
    provider.behaviour = SHAKY
    run_id = workspace.run().run_id
    provider.forget()
    comparison = replay(workspace, run_id, tmp_path / "again")

    assert ((), ()) == (comparison.different, comparison.changes)
    assert {SAMPLES, MANIFEST} <= set(comparison.same)
    assert 0 == provider.calls.total()
    assert read_all(workspace.samples) == read_all(tmp_path / "again")
    assert "byte for byte the same" in describe_comparison(run_id, comparison)


def test_sets_that_were_attached_since_do_not_matter(workspace: Workspace) -> None:
    first, second = workspace.run().run_id, workspace.run().run_id
    held_out = workspace.run("enrich").run_id

    assert [(), (), ()] == [replay(workspace, run_id).different for run_id in (first, second, held_out)]


def test_altered_file_is_not_the_same_though_it_can_be_made_again(workspace: Workspace, tmp_path: Path) -> None:
    run_id = workspace.run().run_id
    folder = workspace.list_sets()[0]
    before = (folder / SAMPLES).read_bytes()
    (folder / SAMPLES).write_bytes(before[:-5] + bytes([before[-5] ^ 1]) + before[-4:])
    (folder / REPORT).unlink()
    comparison = replay(workspace, run_id, tmp_path / "again")

    assert ({SAMPLES, REPORT}, {SAMPLES, REPORT}) == (set(comparison.altered), set(comparison.different))
    with pytest.raises(ReplayError, match=f"altered or gone .*{SAMPLES}.*`exemplars replay {run_id} --to FOLDER`"):
        describe_comparison(run_id, comparison)
    [made] = (tmp_path / "again").rglob(SAMPLES)
    assert before == made.read_bytes()


def test_settings_of_now_do_not_matter_where_the_run_had_its_own(workspace: Workspace) -> None:
    run_id = workspace.run().run_id

    assert () == replay(workspace, run_id, EXEMPLARS_SEED="7").different


def test_judged_run_is_made_again_from_its_votes(workspace: Workspace, provider: Provider) -> None:
    provider.behaviour = Behaviour(misjudged=0.1)
    workspace.write_effort(judge_votes=1, replacement_rounds=1)
    workspace.variables["EXEMPLARS_JUDGE_MODEL"] = "openai/test"
    run_id = workspace.run().run_id
    del workspace.variables["EXEMPLARS_JUDGE_MODEL"]

    assert () == replay(workspace, run_id).different


def test_costs_are_made_again_whatever_limit_and_price_are_set_now(workspace: Workspace) -> None:
    workspace.variables.update(EXEMPLARS_SYNTH_PRICE="0.40/1.60", EXEMPLARS_MAX_COST_USD="0.5")
    run_id = workspace.run().run_id
    del workspace.variables["EXEMPLARS_SYNTH_PRICE"]

    assert () == replay(workspace, run_id, EXEMPLARS_MAX_COST_USD="0.0001").different


def test_changed_definition_is_named(workspace: Workspace) -> None:
    run_id = workspace.run().run_id
    path = workspace.model / "model.yaml"
    path.write_text(path.read_text().replace("understood at once", "understood soon"))

    with pytest.raises(ReplayError, match=r"cannot be made again: it was planned as .*model\.yaml"):
        replay(workspace, run_id)


def test_replies_that_are_gone_are_a_difference_and_no_call(workspace: Workspace, provider: Provider) -> None:
    run_id = workspace.run().run_id
    manifest = json.loads((workspace.list_sets()[0] / MANIFEST).read_text())
    place = RepliesPlace(workspace.variables["EXEMPLARS_CACHE_DIR"])
    run_sql(place, "DELETE FROM exemplars_replies WHERE plan_id = :plan_id", plan_id=manifest["plan_id"])
    provider.forget()
    comparison = replay(workspace, run_id)

    assert SAMPLES in comparison.different
    assert 0 == provider.calls.total()
    with pytest.raises(ReplayError, match=r"different: .*samples\.parquet.*no longer kept"):
        describe_comparison(run_id, comparison)


def test_version_that_has_changed_is_named(workspace: Workspace) -> None:
    run_id = workspace.run().run_id
    path = workspace.list_sets()[0] / MANIFEST
    manifest = json.loads(path.read_text())
    path.write_bytes(seal({**manifest, "versions": {**manifest["versions"], "rensa": "9.9"}}))

    assert ("__run__/manifest.json",) == replay(workspace, run_id).different
    assert any(change.startswith("rensa 9.") for change in replay(workspace, run_id).changes)


def test_unknown_run_is_bad_input(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="No set of run 'nowhere' is in"):
        replay(workspace, "nowhere")


def test_set_without_inputs_cannot_be_made_again(workspace: Workspace) -> None:
    run_id = workspace.run().run_id
    path = workspace.list_sets()[0] / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["inputs"]
    path.write_bytes(seal(manifest))

    with pytest.raises(InputError, match="does not say what it was made from"):
        replay(workspace, run_id)


def write_suite(workspace: Workspace, pattern: str, severity: str = "critical", name: str = "house") -> None:
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
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "expectations": [item]}))


def test_set_is_made_again_with_the_suites_that_its_run_had_and_a_changed_one_is_named(workspace: Workspace) -> None:
    write_suite(workspace, "Globex")
    run_id = workspace.run().run_id
    folder = workspace.list_sets()[0]
    write_suite(workspace, ".", name="later")
    same = replay(workspace, run_id)
    write_suite(workspace, "Globex", severity="warning")
    other = replay(workspace, run_id)

    assert ["run", "whole", "house"] == list(json.loads((folder / VERDICT).read_text())["suites"])
    assert ["house"] == list(json.loads((folder / MANIFEST).read_text())["inputs"]["expectations"])
    assert ((), ()) == (same.different, same.changes)
    assert SAMPLES in other.same
    assert {VERDICT, MANIFEST} <= set(other.different)
    assert ("the suite 'house' of the author's expects something else",) == other.changes


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


def test_suite_with_an_unknown_expectation_ends_the_run_before_anything_is_asked(
    workspace: Workspace, provider: Provider
) -> None:
    write_suite(workspace, "Globex")
    path = workspace.folder / "suites/house.json"
    path.write_text(path.read_text().replace("not_match_regex", "not_match_regexp"))
    with pytest.raises(DefinitionError, match="Did you mean 'expect_column_values_to_not_match_regex'"):
        workspace.run()

    assert (0, []) == (provider.calls.total(), workspace.list_sets())
