"""``import exemplars`` costs nothing; its names give models, the dry run and samples as values."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from fakes.site import clear_environment
from fakes.stored import HANDLE, attach_set, write_model
from fakes.workspace import HANDLE as SHED
from fakes.workspace import ROOT, make_workspace

import exemplars
import flows.synthesize
from engine.domain.verdict import RunResult
from engine.errors import InputError, StoreError, UnknownModelError
from engine.store.changes import detach_set
from engine.store.layout import SAMPLES
from exemplars import ModelSummary, list_models, load_samples, plan
from flows.cli.app import main

LOADED = """
import sys
import exemplars
large = {"pandas", "numpy", "pyarrow", "pydantic", "prefect", "litellm", "fastapi", "great_expectations"}
print(*large & {*sys.modules})
"""
OTHER = "acme.other"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store without sets, beside a catalogue of one model."""
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    write_model(tmp_path / "models")
    return tmp_path / "samples"


def test_import_loads_no_large_package(tmp_path: Path) -> None:
    variables = {**clear_environment(), "PYTHONPATH": str(ROOT)}
    assert b"\n" == subprocess.check_output([sys.executable, "-c", LOADED], cwd=tmp_path, env=variables)


def test_all_names_are_there_when_they_are_used() -> None:
    assert [] == [name for name in exemplars.__all__ if not hasattr(exemplars, name)]
    assert exemplars.synthesize is flows.synthesize.synthesize
    assert exemplars.RunResult is RunResult
    assert issubclass(exemplars.errors.RateLimitedError, exemplars.ProviderError)
    with pytest.raises(AttributeError, match="no attribute 'sythesize'"):
        print(exemplars.sythesize)  # type: ignore[attr-defined]


def test_models_are_listed_those_with_mistakes_too(store: Path) -> None:
    models = store.with_name("models")
    (models / HANDLE / "lifecycle.json").write_text('{"state": "ready"}')
    (write_model(models, handle="acme.broken") / "model.yaml").write_text("traits: [{type: spektrum}]\nefort: low\n")
    (write_model(models, handle="acme.undefined") / "model.yaml").write_text("traits: discover\neffort: max\n")
    broken, undefined, known = list_models()

    assert ("acme.broken", "draft", ()) == (broken.handle, broken.state, broken.traits)
    assert [True, True] == [word in broken.mistakes for word in ("efort", "spektrum")]
    assert ModelSummary("acme.undefined", effort="max") == undefined
    assert (HANDLE, "ready", "") == (known.handle, known.state, known.mistakes)
    assert [("clarity", "Clear", "Obscure"), ("safety", "About safety", "Not about safety")] == [
        (trait.key, trait.positive_label, trait.negative_label) for trait in known.traits
    ]
    assert ((known,), ()) == (list_models("u22a8"), list_models("nobody"))


def test_plan_is_what_is_printed_and_what_cannot_be_planned_is_our_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_workspace(tmp_path, EXEMPLARS_SYNTH_MODEL="openai/gpt-4.1-mini").enter(monkeypatch)
    planned = plan(SHED, effort="low", prompts=1)
    code = main(["plan", SHED, "--effort", "low", "--prompts", "1", "--json"])

    assert (0, json.loads(json.dumps(asdict(planned)))) == (code, json.loads(capsys.readouterr().out))
    assert ("clarity", "positive", 4) == (planned.quotas[0].trait, planned.quotas[0].pole, planned.quotas[0].wanted)
    assert 0 < (planned.estimate.total.likely.cost_usd or 0) < (planned.estimate.total.most.cost_usd or 0)
    assert (None, 1.0) == (planned.refused, planned.estimate.limit_usd)
    with pytest.raises(InputError):
        plan(SHED, effort="lots")  # type: ignore[arg-type]
    with pytest.raises(InputError):
        plan(SHED, prompts=-1)


def test_all_attached_sets_of_the_pool_come_with_the_columns_of_the_store(store: Path) -> None:
    sets = [attach_set(store, run_id) for run_id in ("a", "b")]
    attach_set(store, "held", pool="eval")
    attach_set(store, "elsewhere", handle=OTHER)
    for status in ("rejected", "proposed"):
        attach_set(store, status, status=status)
    detach_set(attach_set(store, "off"))
    files = [pd.read_parquet(f"{stored.folder}/{SAMPLES}", partitioning=None) for stored in sets]

    pd.testing.assert_frame_equal(pd.concat(files, ignore_index=True), load_samples(HANDLE))
    assert ["held"] == list(load_samples(HANDLE, "eval")["run_id"].unique())


def test_nothing_attached_is_an_empty_frame_and_no_catalogue_is_needed(store: Path) -> None:
    empty = load_samples(HANDLE)
    attach_set(store, "a", handle=OTHER)

    pd.testing.assert_frame_equal(load_samples(OTHER).head(0), empty)
    assert 4 == len(load_samples(OTHER))


def test_what_cannot_be_loaded_is_named(store: Path) -> None:
    with pytest.raises(UnknownModelError, match=f"No model 'u22a8.tests'.* Did you mean {HANDLE}"):
        load_samples("u22a8.tests")
    with pytest.raises(InputError, match=r"'test' is not a pool\. The pools are: train and eval"):
        load_samples(HANDLE, "test")  # type: ignore[arg-type]
    Path(attach_set(store, "a").folder, SAMPLES).write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"The samples of run a, attached to u22a8\.test, cannot be read"):
        load_samples(HANDLE)
