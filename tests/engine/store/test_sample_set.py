"""The sample set: the command that fills it up says what it was asked for."""

from dataclasses import asdict

import pytest
from fakes.builders import make_level

from engine.definitions.effort import Level
from engine.store.sample_set import write_filling_command


@pytest.mark.parametrize(
    ("synth_type", "level", "options"),
    [
        ("from_traits", make_level(), "--effort low"),
        ("enrich", make_level(30, is_own_count=True), "--synth-type enrich --effort low --per-pole 30"),
    ],
)
def test_set_is_filled_up_as_it_was_asked_for(synth_type: str, level: Level, options: str) -> None:
    manifest = {"handle": "a.b", "synth_type": synth_type, "effort": "low", "inputs": {"level": asdict(level)}}

    assert f"exemplars synthesize a.b {options} --only-lacking" == write_filling_command(manifest)
