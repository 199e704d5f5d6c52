"""What happens once in a while in a house happens at once, and then not before its time."""

from unittest.mock import patch

from flows.backfills.resources import Occasion


def test_occasion_comes_at_once_and_then_no_sooner_than_its_seconds() -> None:
    occasion = Occasion(600.0)
    with patch("flows.backfills.resources.time.monotonic", side_effect=[1000.0, 1001.0, 1599.9, 1600.0, 1601.0]):
        assert [True, False, False, True, False] == [occasion.comes() for _ in range(5)]
