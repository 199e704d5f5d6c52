"""Of each trait, pole and origin at most so many texts are drawn, pairs whole, and of the same samples the same."""

from collections import Counter
from pathlib import Path

from fakes.builders import make_model, make_seeds
from fakes.stored import HANDLE, attach_set

from engine.catalogue.drawn_texts import DrawnText, draw_texts, find_last_sets
from engine.domain.model import POLES
from engine.store.store import list_sets


def draw(samples: Path, most: int = 50) -> dict[str, list[DrawnText]]:
    return draw_texts(make_model(seeds=make_seeds()), list_sets(str(samples), HANDLE, "train"), most)


def test_texts_are_authored_or_of_the_last_set_that_has_the_trait_or_of_earlier_ones(tmp_path: Path) -> None:
    attach_set(tmp_path, "b-last", 4)
    attach_set(tmp_path, "a-earlier", 6)
    attach_set(tmp_path, "c-gone", 4, ("gone",))
    # All were due at one time: then the folders' names decide.
    drawn = draw(tmp_path)

    assert {"clarity": "b-last", "gone": "c-gone"} == find_last_sets(list_sets(str(tmp_path), HANDLE, "train"))
    assert ["clarity"] == list(drawn)
    assert {
        (origin, pole): count for origin, count in (("authored", 3), ("earlier", 3), ("last", 2)) for pole in POLES
    } == Counter((item.origin, item.pole) for item in drawn["clarity"])
