"""Near duplicates among a run's own rows, which nobody has searched, beside cutting their texts into shingles: TEXTS=n.

The texts are of few words, so that each shingle is in many of them, as in those of a small model.
"""

import os
import random
import time

import pytest

from engine.text.words import shingle
from expectations.exact_search import find_near_pairs

TEXTS = int(os.environ.get("TEXTS", "3000"))
WORDS, LENGTH = 200, 18
# The figure at 3,000 texts; it grows with their number, since each is compared with all before it.
USUAL_RATIO = 8.5


@pytest.mark.short
def test_search_of_a_runs_own_rows() -> None:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghilmnoprstu", k=draw.randint(3, 8))) for _ in range(WORDS)]
    texts = [" ".join(draw.choices(words, k=LENGTH)) for _ in range(TEXTS)]
    begun = time.process_time()
    for text in texts:
        shingle(text)
    cut = time.process_time()
    find_near_pairs(texts, 0.7)
    found = time.process_time()
    ratio = (found - cut) / (cut - begun)
    print(
        f"\n{TEXTS:,} texts: shingles {cut - begun:.2f} CPU-s, exact search {found - cut:.2f}, {ratio:.1f} times that"
    )

    assert ratio <= 2 * USUAL_RATIO or os.environ.get("TEXTS")
