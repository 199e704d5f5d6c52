"""The main job with its models and its samples on an S3 server, which may break while the set is written."""

import json
from collections.abc import Iterator

import pytest
from fakes.provider import Provider
from fakes.s3 import BUCKET, S3, list_keys, serve_s3
from fakes.workspace import HANDLE, Workspace

from engine.errors import StoreError
from engine.files import open_folder
from engine.sample_set import MANIFEST
from engine.store import list_sets, read_attached
from flows.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

MODELS, SAMPLES_URI = f"s3://{BUCKET}/models", f"s3://{BUCKET}/out/samples"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    with serve_s3() as server:
        server.enter(monkeypatch)
        yield server


@pytest.fixture
def remote(workspace: Workspace, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, with its model on the server."""
    for path in workspace.model.iterdir():
        filesystem, place = open_folder(f"{MODELS}/{HANDLE}/{path.name}")
        with filesystem.open_output_stream(place) as stream:
            stream.write(path.read_bytes())
    workspace.variables.update(EXEMPLARS_MODELS_URI=MODELS, EXEMPLARS_SAMPLES_URI=SAMPLES_URI)
    workspace.enter(monkeypatch)
    return workspace


def test_run_survives_a_server_that_breaks_while_the_set_is_put(
    remote: Workspace, s3: S3, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    # The probe is put, taken away, and leaves the mark of an empty folder; then the set: its samples come last of it.
    s3.break_after(8)
    with pytest.raises(StoreError, match="a second start goes on"):
        remote.run()
    s3.heal()
    assert [] == list_sets(SAMPLES_URI, HANDLE, "train")
    assert any("/run=" in key for key in list_keys(SAMPLES_URI))
    assert not any(key.endswith(MANIFEST) for key in list_keys(SAMPLES_URI))
    provider.forget()
    result = remote.run()

    # The replies were kept, and what was half put is gone.
    assert 0 == provider.calls.total()
    assert {result.run_id} == {key.partition("run=")[2].partition("/")[0] for key in list_keys(SAMPLES_URI)}
    [stored] = list_sets(SAMPLES_URI, HANDLE, "train")
    assert 16 == len(read_attached([stored]))
    assert (f"{stored.folder}/samples.parquet", "attached") == (result.samples, result.status)
    capsys.readouterr()
    assert 0 == main(["verify", "--json"])
    assert [] == json.loads(capsys.readouterr().out)["broken"]
    assert 0 == main(["replay", result.run_id])
    assert "byte for byte the same" in capsys.readouterr().out
    assert 0 == main(["detach", result.run_id])
    assert [] == list_sets(SAMPLES_URI, HANDLE, "train")
