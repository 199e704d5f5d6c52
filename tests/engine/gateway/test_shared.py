"""Runs of one process share the throttle of a model that they all ask, and not that of another model."""

from dataclasses import replace

from fakes.client import CHAT

from engine.gateway.shared import share_models


async def test_runs_ask_one_model_at_one_pace() -> None:
    other = replace(CHAT, identity="another")
    async with share_models(24, 60.0) as shared:
        throttle = shared.find_throttle(CHAT)

        assert shared.find_throttle(CHAT) is throttle
        assert shared.find_throttle(other) is not throttle
        assert 24 == throttle.window


async def test_embedded_model_is_asked_for_as_many_as_it_has_slots() -> None:
    async with share_models(24, 60.0) as shared:
        assert 8 == shared.find_throttle(replace(CHAT, slots=8)).window
