"""What the tests of the commands that judge share."""

from pathlib import Path

import pytest
from fakes.stored import POLE_TEXTS, attach_poles, write_lines, write_model

OWN_PLAIN, OWN_STIFF = "Open the page and press Save.", "Persistence is effected via the interface."


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a seed a pole and attached samples of one of its two traits, in the current folder."""
    seeds = write_lines({"content": OWN_PLAIN, "clarity": 1}, {"content": OWN_STIFF, "clarity": 0})
    write_model(models, ("seeds.jsonl", seeds))
    attach_poles(tmp_path / "samples", POLE_TEXTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    return tmp_path
