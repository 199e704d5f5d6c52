"""``exemplars verify --migrate`` moves the sets of an older version, but not those of a model that a run works on."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from fakes.older import HANDLE, put_older_store
from prefect.client.orchestration import get_client

from flows.cli.app import main
from flows.runs.labels import name_tag
from flows.runs.slot import Slot

pytestmark = pytest.mark.slow
NOTE = "In the older layout: 4 sets and the ledgers of backfills. Some readers of the whole store"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    return put_older_store(tmp_path / "samples")


@pytest.fixture
def busy(prefect_server: str) -> Iterator[Slot]:
    """The lease of the model, as a run has it."""
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(HANDLE), uuid4())
        assert slot.take()
        yield slot
        slot.release()


def test_older_sets_are_no_fault_and_are_told_until_they_are_moved(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["verify"])
    assert NOTE in capsys.readouterr().out
    assert 0 == main(["verify", "--migrate"])
    said = capsys.readouterr().out
    assert "older layout" not in said
    assert "sets: 2 attached, 0 proposed, 1 rejected, 1 detached" in said
    assert 0 == main(["verify", "--json"])
    assert 0 == json.loads(capsys.readouterr().out)["older"]
    assert [] == list(store.rglob("_manifest.json"))


def test_sets_of_a_model_at_work_are_left_and_told(store: Path, busy: Slot, capsys: pytest.CaptureFixture[str]) -> None:
    assert 3 == main(["verify", "--migrate"])
    said = capsys.readouterr()
    assert f"The lease of {HANDLE} is taken, so a run begins. Its sets were not moved" in said.out
    assert "Not all sets were moved, since runs work on 1 model" in said.err
    assert 4 == len(list(store.rglob("_manifest.json")))
    busy.release()

    assert 0 == main(["verify", "--migrate"])
    assert [] == list(store.rglob("_manifest.json"))
