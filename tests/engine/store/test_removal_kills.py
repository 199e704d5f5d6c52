"""Samples are removed one by one: a reader in a loop sees whole versions only, and so does one after a kill.

``LONG=1 pytest tests/engine/store/test_removal_kills.py -s`` goes on for longer, and prints what was found.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_int
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pandas as pd
import pytest
from fakes.long import choose, long, longer
from fakes.s3 import S3
from fakes.store_writers import CONTEXT, remove_in_turn, remove_text, run_apart
from fakes.stored import HANDLE, TOMORROW, attach_set, name_faults, write_model

from engine.definitions.loader import load_outline
from engine.errors import StoreError
from engine.listing.samples import FIRST, Position, count_attached, list_samples
from engine.store.garbage import collect_garbage

REMOVED = choose(once=20, at_length=200)
KILLS = choose(once=5, at_length=50)
ROWS = 120
PAGE = 17


def draw_removals(count: int) -> list[tuple[str, str]]:
    """The run and text of so many samples of the sets ``a`` and ``b``, in an order of its own."""
    texts = [(run_id, f"{run_id} {number}") for run_id in "ab" for number in range(ROWS)]
    return random.Random(20261128).sample(texts, count)


class Watched:
    """Removals that go on elsewhere; ``begun`` and ``done`` count them, and what is read is held against them."""

    def __init__(self, store: Path | str, models: Path, count: int = REMOVED) -> None:
        self.store, self.models = store, models
        self.removals = draw_removals(count)
        self.begun: Synchronized[int] = CONTEXT.Value(c_int, 0)
        self.done: Synchronized[int] = CONTEXT.Value(c_int, 0)
        write_model(models)
        self.texts = [f"{run_id} {number}" for run_id in "ab" for number in range(ROWS)]
        for run_id in "ab":
            attach_set(store, run_id, ROWS)

    @property
    def work(self) -> tuple[Path | str, Sequence[tuple[str, str]], "Synchronized[int]", "Synchronized[int]"]:
        """What ``remove_in_turn`` is given."""
        return self.store, self.removals, self.begun, self.done

    def left(self, count: int) -> list[str]:
        gone = {text for _, text in self.removals[:count]}
        return [text for text in self.texts if text not in gone]

    def check(self, read: Callable[[], Sequence[str]], whole: bool = True) -> None:
        """What is read is one of the versions that were there meanwhile or, of pages, what all of them have, once."""
        first = self.done.value
        texts = list(read())
        last = self.begun.value
        if whole:
            # Two sets are read one after the other, each in one of its versions.
            for run_id in "ab":
                own = [text for text in texts if text.startswith(run_id)]
                versions = (
                    [text for text in self.left(count) if text[0] == run_id] for count in range(first, last + 1)
                )
                assert own in versions
        assert max(Counter(texts).values()) == 1
        assert set(self.left(last)) <= set(texts) <= set(self.left(first))
        assert texts == sorted(texts, key=self.texts.index)

    def read_file(self) -> list[str]:
        return list(pd.read_parquet(self.store)["text"])

    def walk_pages(self) -> Iterator[str]:
        outline = load_outline(str(self.models), HANDLE)
        position: Position = FIRST
        while True:
            page = list_samples(str(self.models), str(self.store), outline, None, position, PAGE)
            yield from (sample.text for sample in page.samples)
            if page.next_position is None:
                return
            position = page.next_position


@longer
def test_readers_in_a_loop_see_whole_versions_and_pages_lose_and_double_nothing(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "samples", tmp_path / "models")
    looks = 0
    with run_apart(remove_in_turn, *watched.work) as writer:
        while writer.is_alive():
            watched.check(watched.read_file)
            watched.check(lambda: list(watched.walk_pages()), whole=False)
            count_attached(str(watched.store), HANDLE)
            looks += 1
    assert len(watched.removals) == watched.done.value
    assert watched.left(len(watched.removals)) == watched.read_file()
    assert [] == name_faults(watched.store)
    print(f"\n{len(watched.removals)} removals, {looks} looks")


@longer
def test_removal_that_is_killed_at_any_instant_leaves_the_set_before_or_after_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "samples", tmp_path / "models", ROWS)
    instants, swept, finished = random.Random(20261128), 0, 0
    for _ in range(KILLS):
        at = watched.done.value
        with run_apart(remove_in_turn, *watched.work) as process:
            while watched.begun.value == at and process.is_alive():
                time.sleep(0.0005)
            time.sleep(instants.uniform(0, 0.15))
        assert [] == name_faults(watched.store)
        watched.check(watched.read_file)
        watched.check(lambda: list(watched.walk_pages()))
        swept += len(collect_garbage(str(watched.store), HANDLE, TOMORROW))
        # It may have been killed between its last step and its word of it.
        texts = list(watched.walk_pages())
        finished += watched.begun.value > watched.done.value and texts == watched.left(watched.begun.value)
        watched.done.value = watched.begun.value = len(watched.texts) - len(texts)
        assert watched.left(watched.done.value) == texts
        assert [] == name_faults(watched.store)
        assert {"samples", "models"} == {path.name for path in tmp_path.iterdir()}
    print(f"\n{KILLS} kills, {watched.done.value} removed, {finished} killed behind the exchange, {swept} swept")


@long
@pytest.mark.slow
def test_server_that_breaks_after_any_request_leaves_the_set_before_or_after_it(
    s3_uri: str, s3: S3, tmp_path: Path
) -> None:
    watched = Watched(s3_uri, tmp_path / "models", 40)
    seen: set[str] = set()
    for changes, (run_id, text) in enumerate(watched.removals):
        s3.changes_left = changes
        watched.begun.value += 1
        try:
            remove_text(s3_uri, run_id, text)
            done = True
        except StoreError:
            done = False
        finally:
            s3.heal()
        watched.check(lambda: list(watched.walk_pages()))
        seen.add("before" if text in watched.walk_pages() else "after")
        # Whoever comes next, a run or another removal, finishes what has begun.
        if changes % 2:
            collect_garbage(s3_uri, HANDLE, TOMORROW)
            assert [] == name_faults(s3_uri)
        remove_text(s3_uri, run_id, text)
        watched.done.value += 1
        assert watched.left(watched.done.value) == list(watched.walk_pages()) == watched.read_file()
        assert [] == name_faults(s3_uri)
        if done:
            break
    assert done
    assert text not in watched.read_file()
    assert {"before", "after"} == seen
    assert 3 <= changes
