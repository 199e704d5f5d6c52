"""What 1,000 new texts cost against N attached: plan and screen, and the gate; beside the same against none.

``EXEMPLARS_BENCH_ATTACHED`` says how many are attached (100,000), and ``EXEMPLARS_BENCH_STORE`` a folder that keeps the
store for the next time. Each part runs in a process of its own, so that its CPU time and its peak memory are its own.
"""

import json
import os
import random
import sys
import time
from dataclasses import replace
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from bench.process_tree import measure_command
from fakes.builders import make_exemplar, make_level, make_model, make_stamp, make_test_plan

from engine.domain.model import POLES
from engine.domain.samples import Exemplar, Scenario, make_row
from engine.screening.screener import Screener
from engine.store.existing import read_existing
from engine.store.sample_set import SampleSet
from engine.store.store import write_set

ATTACHED = int(os.environ.get("EXEMPLARS_BENCH_ATTACHED", "100000"))
STORE = os.environ.get("EXEMPLARS_BENCH_STORE")
NEW = 1_000
MODEL = make_stamp().handle
# Of the new texts so many are near duplicates of an attached one, and must be found.
PLANTED = 100
SET_ROWS = 50_000
# Twice what was measured against 100,000 attached: 1.12 and 1.14 (docs/decisions/005-duplicates.md).
MAX_RATIOS = {"screen": 2.2, "gate": 2.3}
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_DRAWN = random.Random(1)
WORDS = ["".join(_DRAWN.choices(SYLLABLES, k=_DRAWN.choice((1, 2, 2, 3, 3, 4)))) for _ in range(6_000)]
# Words are as frequent as in a language (Zipf), so that hashes are alike by chance as often as there.
# Summed up once: from single weights `choices` would do it for each text.
FREQUENCIES = list(accumulate(1 / (rank + 20) for rank in range(len(WORDS))))


def write_text(number: int) -> str:
    """A sentence of 18 to 40 words that is a function of a number."""
    rng = random.Random(number)
    return " ".join(rng.choices(WORDS, cum_weights=FREQUENCIES, k=rng.randint(18, 40))).capitalize() + "."


def write_new(number: int, attached: int) -> str:
    """A new text; the first ``PLANTED`` are an attached one with another last word."""
    if number < PLANTED and attached:
        return write_text(number * (attached // PLANTED)).removesuffix(".") + " indeed."
    return write_text(10**9 + number)


def make_store(folder: Path, attached: int) -> None:
    for first in range(0, attached, SET_ROWS):
        stamp = make_stamp(f"run-{first:09d}")
        stamp = replace(stamp, created_at=stamp.created_at + timedelta(seconds=first))
        rows = [
            make_row(make_new(write_text(n), n), stamp, None) for n in range(first, min(first + SET_ROWS, attached))
        ]
        write_set(str(folder), SampleSet(stamp, "train", "attached", "plan", rows, [], {}, {}))


def make_new(text: str, number: int) -> Exemplar:
    made = make_exemplar(text, POLES[number % 2], number // 2)
    return replace(made, scenario=Scenario(f"subject {number % 500}", f"reader {number % 7}", "a note", "short"))


def run_part(part: str, folder: str, attached: int) -> dict[str, Any]:
    """Does one part in this process; returns its CPU seconds without imports, and what came of it."""
    begun = time.process_time()
    pools = replace(make_model(handle=MODEL, language="tlh"), existing=read_existing(folder, MODEL))
    exemplars = [make_new(write_new(number, attached), number) for number in range(NEW)]
    plan = make_test_plan(pools, make_level(NEW // 2))
    if part == "screen":
        screened = Screener(plan, use_lengths=False).screen(exemplars)
        rejected = sum(item.reason in ("duplicate", "near_duplicate") for item in screened)
        return {"cpu": time.process_time() - begun, "found": rejected}
    from expectations.gate import check_model

    rows = [make_row(item, make_stamp(), None) for item in exemplars]
    verdict = check_model(
        rows,
        pools,
        "from_traits",
        quotas=NEW // 2,
        run_id=make_stamp().run_id,
        diversity=[],
    )
    near = [item for item in verdict.results if item.suite == "whole" and "no new text" in item.name]
    return {"cpu": time.process_time() - begun, "found": int("".join(filter(str.isdigit, near[0].observed)))}


def measure(part: str, folder: Path, attached: int) -> dict[str, Any]:
    measured = measure_command([sys.executable, __file__, part, str(folder), str(attached)], os.environ)
    return {**json.loads(measured.output), "whole": measured.cpu_seconds, "peak_mb": measured.peak_mb}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(STORE or tmp_path_factory.mktemp("store")) / f"{ATTACHED}" / "samples"
    if not folder.exists():
        make_store(folder, ATTACHED)
    return folder


@pytest.mark.short
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", ["screen", "gate"])
def test_new_texts_against_many_attached(part: str, store: Path, tmp_path: Path) -> None:
    none = measure(part, tmp_path / "none" / "samples", 0)
    many = measure(part, store, ATTACHED)
    again = measure(part, store, ATTACHED)
    ratio = again["whole"] / none["whole"]
    print(f"\n{part}: {NEW:,} new against   CPU s   of it work   peak MB")
    for name, row in (("none", none), (f"{ATTACHED:,}", many), ("the same again", again)):
        print(f"{name:>32}{row['whole']:8.2f}{row['cpu']:13.2f}{row['peak_mb']:10,}")
    print(f"ratio {ratio:.2f}, {(again['cpu'] - none['cpu']) / ATTACHED * 1e6:.2f} CPU µs an attached text")

    assert (0, PLANTED, PLANTED) == (none["found"], many["found"], again["found"])
    assert ratio < MAX_RATIOS[part] or ATTACHED != 100_000


if __name__ == "__main__":
    asked, place, number = sys.argv[1:]
    print(json.dumps(run_part(asked, place, int(number))))
