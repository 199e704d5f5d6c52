"""Runs of one process share the throttle of a model that they all ask, and not that of another model."""

from dataclasses import replace

from fakes.client import CHAT

from engine.llm.gateway.shared import SharedModels


def test_runs_ask_one_model_at_one_pace_and_an_embedded_one_for_as_many_as_it_has_slots() -> None:
    with SharedModels(24, 60.0) as shared:
        throttle = shared.find_throttle(CHAT)

        assert shared.find_throttle(CHAT) is throttle
        assert shared.find_throttle(replace(CHAT, identity="another")) is not throttle
        assert [24, 8] == [throttle.window, shared.find_throttle(replace(CHAT, identity="third", slots=8)).window]
