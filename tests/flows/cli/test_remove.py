"""``exemplars remove``: all that may go goes, or nothing; verify and later runs know of it."""

from pathlib import Path

import pandas as pd
import pytest
from fakes.commands import Command
from fakes.set_events import read_set_events
from fakes.stored import HANDLE, attach_set, write_lines, write_model
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.store.added_samples import add_samples

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def name_ids(*texts: str) -> list[str]:
    return [str(make_id(HANDLE, "clarity", text)) for text in texts]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets for training, one for evaluation, an authored sample and an added one."""
    write_model(tmp_path / "models", ("s.jsonl", write_lines({"content": "Own.", "clarity": 1})))
    for run_id in ("a", "b"):
        attach_set(tmp_path / "samples", run_id)
    attach_set(tmp_path / "samples", "held", pool="eval")
    add_samples(str(tmp_path / "models"), HANDLE, [Seed("clarity", "Added.", 1.0)], {})
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    return tmp_path


def list_texts(folder: Path, pool: str = "train") -> list[str]:
    return list(pd.read_parquet(folder / f"samples/handle={HANDLE}/pool={pool}")["text"])


def test_samples_of_several_sets_go_at_once_and_a_second_start_does_the_rest(
    folder: Path, prefect_server: str, run_command: Command
) -> None:
    first = name_ids("a 1", "b 0", "b 3", "held 2", "Added.")
    told = run_command("remove", HANDLE, *first, "--why", "dull")
    again = run_command("remove", HANDLE, *first[:2], *name_ids("a 0"), "--json").facts
    payloads = [event["payload"] for event in read_set_events(prefect_server, str(folder / "samples"), 4)]

    assert [("a", 1), ("b", 2), ("held", 1), ("a", 1)] == [(item["run_id"], item["removed"]) for item in payloads]
    kept = "named in its __run__/manifest.json"
    assert [
        f"Removed from {HANDLE}: 5 samples",
        *(f"  {count} of run {run_id}, {kept}" for run_id, count in (("a", 1), ("b", 2), ("held", 1))),
        "  1 that had been added",
    ] == told.out.splitlines()[:5]
    assert (name_ids("a 0"), {"a": 1}) == ([*map(str, again["removed"])], again["runs"])
    assert sorted(map(int, first[:2])) == again["removed_before"]
    assert ["a 2", "a 3", "b 1", "b 2"] == list_texts(folder)
    assert ["held 0", "held 1", "held 3"] == list_texts(folder, "eval")
    assert "nothing is broken" in run_command("verify").out


def test_ids_that_may_not_go_are_named_all_at_once_and_nothing_changes(folder: Path, run_command: Command) -> None:
    [own, taken] = name_ids("Own.", "a 1")
    several = run_command("remove", HANDLE, taken, "7", own, "7").message
    unknown = run_command("remove", "u22a8.none", taken)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        away = run_command("remove", HANDLE, taken)
    (folder / "models" / HANDLE / "lifecycle.json").write_text('{"state": "ready"}')
    frozen = run_command("remove", HANDLE, taken)

    assert f"has no sample 7. Sample {own} stands in " in several
    assert (2, True) == (unknown.code, "No model" in unknown.message)
    assert (3, 2) == (away.code, frozen.code)
    assert all("Nothing was removed" in said for said in (several, away.message, frozen.message))
    assert "a 1" in list_texts(folder)
