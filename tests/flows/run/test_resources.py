"""What is done once in a while is done at first, and then not before its time."""

from unittest.mock import patch

from flows.run.resources import Cooldown


def test_cooldown_is_over_at_first_and_then_no_sooner_than_its_seconds() -> None:
    cooldown = Cooldown(600.0)
    with patch("flows.run.resources.time.monotonic", side_effect=[1000.0, 1001.0, 1599.9, 1600.0, 1601.0]):
        assert [True, False, False, True, False] == [cooldown.is_over() for _ in range(5)]
