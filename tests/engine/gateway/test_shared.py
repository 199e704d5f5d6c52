"""Runs of one process share the pace of a model that they all ask, and not that of another model."""

from dataclasses import replace

from fakes.client import CHAT

from engine.gateway.shared import share


async def test_runs_ask_one_model_at_one_pace() -> None:
    other = replace(CHAT, identity="another")
    async with share(24, 60.0) as shared:
        pace = shared.find_pace(CHAT)

        assert shared.find_pace(CHAT) is pace
        assert shared.find_pace(other) is not pace
        assert 24 == pace.window


async def test_embedded_model_is_asked_for_as_many_as_it_has_slots() -> None:
    async with share(24, 60.0) as shared:
        assert 8 == shared.find_pace(replace(CHAT, slots=8)).window
