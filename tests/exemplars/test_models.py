"""The models of a catalogue: in the order of their handles, and one with mistakes among them."""

from pathlib import Path

import pytest
from fakes.stored import HANDLE, write_model

from exemplars import ModelSummary, list_models


def test_models_are_listed_those_with_mistakes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path))
    (write_model(tmp_path) / "lifecycle.json").write_text('{"state": "ready"}')
    (write_model(tmp_path, handle="acme.broken") / "model.yaml").write_text("traits: [{type: spektrum}]\nefort: low\n")
    (write_model(tmp_path, handle="acme.undefined") / "model.yaml").write_text("traits: discover\neffort: max\n")
    broken, undefined, known = list_models()

    assert ("acme.broken", "draft", ()) == (broken.handle, broken.state, broken.traits)
    assert "efort" in broken.mistakes
    assert "spektrum" in broken.mistakes
    assert ModelSummary("acme.undefined", effort="max") == undefined
    assert (HANDLE, "ready", "") == (known.handle, known.state, known.mistakes)
    assert [("clarity", "Clear", "Obscure"), ("safety", "About safety", "Not about safety")] == [
        (trait.key, trait.positive_label, trait.negative_label) for trait in known.traits
    ]
    assert (known,) == list_models("u22a8")
    assert () == list_models("nobody")
