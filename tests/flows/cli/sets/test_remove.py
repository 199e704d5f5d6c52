"""``exemplars remove``: all that may go goes, or nothing; verify and later runs know of it."""

import json
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from fakes.provider import Provider
from fakes.set_events import read_set_events
from fakes.stored import HANDLE, attach_set, write_lines, write_model
from fakes.workspace import Workspace
from prefect.client.orchestration import get_client

from engine.definitions.added_samples import add_samples
from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.errors import FrozenModelError, InputError, ModelBusyError, UnknownModelError
from engine.settings import Settings
from engine.store.layout import REJECTED, SAMPLES
from engine.store.store import find_set
from flows.cli.app import main
from flows.cli.sets.remove import remove_ids
from flows.runs.labels import name_tag
from flows.runs.slot import Slot

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def name_ids(*texts: str) -> list[int]:
    return [make_id(HANDLE, "clarity", text) for text in texts]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two sets for training, one for evaluation, an authored sample and an added one."""
    write_model(tmp_path / "models", ("s.jsonl", write_lines({"content": "Own.", "clarity": 1})))
    for run_id in ("a", "b"):
        attach_set(tmp_path / "samples", run_id)
    attach_set(tmp_path / "samples", "held", pool="eval")
    add_samples(str(tmp_path / "models"), HANDLE, [Seed("clarity", "Added.", 1.0)], {})
    return Settings(models_uri=str(tmp_path / "models"), samples_uri=str(tmp_path / "samples"))


def list_texts(settings: Settings, pool: str = "train") -> list[str]:
    return list(pd.read_parquet(Path(settings.samples_uri) / f"handle={HANDLE}/pool={pool}")["text"])


def test_samples_of_several_sets_go_at_once_and_a_second_start_does_the_rest(
    settings: Settings, prefect_server: str
) -> None:
    first = name_ids("a 1", "b 0", "b 3", "held 2", "Added.")
    places = remove_ids(settings, HANDLE, first, "dull")
    again = remove_ids(settings, HANDLE, [*first[:2], *name_ids("a 0")])
    payloads = [event["payload"] for event in read_set_events(prefect_server, settings.samples_uri, 4)]

    assert [("a", 1), ("b", 2), ("held", 1), ("a", 1)] == [(item["run_id"], item["removed"]) for item in payloads]
    assert frozenset(first) == places.removable
    assert (frozenset(name_ids("a 0")), {*first[:2]}) == (again.removable, set(again.stored.removed))
    assert ["a 2", "a 3", "b 1", "b 2"] == list_texts(settings)
    assert ["held 0", "held 1", "held 3"] == list_texts(settings, "eval")
    assert not Path(settings.models_uri, HANDLE, "added.jsonl").read_text().strip()


def test_ids_that_may_not_go_are_named_all_at_once_and_nothing_changes(settings: Settings) -> None:
    [own, taken] = name_ids("Own.", "a 1")
    with pytest.raises(InputError, match=rf"has no sample 7, -8\. Sample {own} stands in .*s\.jsonl:1, .*Nothing was"):
        remove_ids(settings, HANDLE, [taken, 7, own, -8, 7])
    with pytest.raises(InputError, match="not text that can be kept"):
        remove_ids(settings, HANDLE, [taken], "\udc80")
    with pytest.raises(UnknownModelError):
        remove_ids(settings, "u22a8.none", [taken])
    Path(settings.models_uri, HANDLE, "lifecycle.json").write_text('{"state": "ready"}')
    with pytest.raises(FrozenModelError, match="Nothing was removed"):
        remove_ids(settings, HANDLE, [taken])

    assert "a 1" in list_texts(settings)


def test_model_that_a_run_works_on_keeps_its_samples(settings: Settings) -> None:
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(HANDLE), uuid4())
        assert slot.take()
        try:
            with pytest.raises(ModelBusyError, match=r"is taken.*Nothing was removed"):
                remove_ids(settings, HANDLE, name_ids("a 1"))
        finally:
            slot.release()
    assert "a 1" in list_texts(settings)


def test_removed_samples_are_told_and_not_planned_beside(
    workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.enter(monkeypatch)
    first = workspace.run().run_id
    stored = find_set(str(workspace.samples), first)
    assert stored is not None
    ids = list(pd.read_parquet(Path(stored.folder, SAMPLES))["id"])
    capsys.readouterr()

    assert 0 == main(["remove", stored.handle, str(ids[0]), str(ids[9]), "--why", "dull", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (sorted([ids[0], ids[9]]), {first: 2}) == (told["removed"], told["runs"])
    assert 0 == main(["remove", stored.handle, str(ids[3])])
    assert f"1 of run {first}, kept in its __run__/rejected.pq" in capsys.readouterr().out
    assert 2 == main(["remove", stored.handle, "1"])
    assert "has no sample 1" in capsys.readouterr().err
    assert 3 == list(pd.read_parquet(Path(stored.folder, REJECTED))["reason"]).count("removed")
    assert "attached" == workspace.run().status
    assert 0 == main(["verify"])
    assert "nothing is broken" in capsys.readouterr().out
