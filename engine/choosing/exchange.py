"""Exchanges chosen pairs for others as good, until nothing as simple as a word tells the poles apart beyond chance."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.domain.samples import Exemplar
from engine.text.embedding import Vectors
from engine.text.words import count_words, split_words

Pair = tuple[Exemplar, Exemplar]

# Of hundreds of words one differs by two standard errors, those of a word that half of the texts have, by chance alone:
# where each pair's texts were given to its poles by a coin, the best word's AUC was .75 for 8 pairs and .62 for 40.
CHANCE_ERRORS = 2.0
# A feature whose AUC is .5 and so much teaches little, however many texts there are.
LEAST = 0.1
# By how much the score of a pair may be lower than that of the pair whose place it takes, in standard deviations.
MAX_LOSS = 1.0
# With more entries each exchange would take some hundredths of a second, and there would be many; then the pairs stay.
MAX_ENTRIES = 500_000


def exchange_pairs(
    chosen: Sequence[int],
    candidates: Sequence[Pair],
    scores: Sequence[float],
    most_exchanges: int,
    use_words: bool = True,
) -> list[int]:
    """Returns the indices of the candidates that are chosen after the exchanges, one for one and of different subjects.

    Each exchange lowers by most what the AUCs of words, opening words and lengths have above the level of chance, the
    pair that comes in being as good as the one that goes, or nearly so; of equal ones the better pair comes in.

    Args:
        chosen: the indices of the chosen candidates.
        scores: higher is better.
        most_exchanges: after so many it stops in any case.
        use_words: whether words and openings count, which define a topic or a claim.
    """
    picked, count = list(chosen), len(chosen)
    if not count or count * len(candidates) > MAX_ENTRIES:
        return picked
    allowed = math.floor(2 * count * max(LEAST, CHANCE_ERRORS / math.sqrt(8 * count)))
    rows = _list_differences(candidates, allowed, use_words)
    values = np.asarray(scores, dtype=np.float64)
    subjects = np.unique([pair[0].pair_id for pair in candidates], return_inverse=True)[1]
    excess = float(np.maximum(0.0, np.abs(rows[picked].sum(axis=0)) - allowed).sum())
    for _ in range(most_exchanges):
        out = list(picked)
        used = np.isin(subjects, subjects[out])
        may = (~used | (subjects == subjects[out][:, None])) & (values >= values[out][:, None] - MAX_LOSS)
        left = np.where(may, _measure_exchanges(rows, out, allowed), np.inf)
        least = float(left.min())
        if least >= excess:
            break
        places, indices = np.nonzero(left == least)
        best = int(np.argmax(values[indices] - values[out][places]))
        picked[places[best]], excess = int(indices[best]), least
    return picked


def _measure_exchanges(rows: Vectors, out: Sequence[int], allowed: int) -> Vectors:
    sums = rows[out].sum(axis=0)
    # An exchange changes a sum by two at most.
    near = np.flatnonzero(np.abs(sums) > allowed - 2)
    sides = np.array([-1.0, 0.0, 1.0])
    left = np.maximum(0.0, np.abs(sums[near, None] - rows[np.ix_(out, near)][:, :, None] + sides) - allowed)
    comes_in = rows[:, near, None] == sides
    return np.asarray(left.reshape(len(out), -1) @ comes_in.reshape(len(rows), -1).T, dtype=np.float64)


def _list_differences(pairs: Sequence[Pair], allowed: int, use_words: bool) -> Vectors:
    """Lists by pair and feature which text alone has it: 1 the positive one, -1 the negative one, 0 both or neither.

    Features are left out that tell fewer pairs' texts apart than would be too many.
    """
    lengths = [count_words(item.text or "") for pair in pairs for item in pair]
    steps = np.quantile(lengths, [0.25, 0.5, 0.75]).tolist()
    texts = [[_list_features(item.text or "", steps, use_words) for item in pair] for pair in pairs]
    counts = Counter(feature for positive, negative in texts for feature in positive ^ negative)
    often = sorted(feature for feature, count in counts.items() if count > allowed)
    rows = [[(name in positive) - (name in negative) for name in often] for positive, negative in texts]
    return np.array(rows, dtype=np.float64).reshape(len(pairs), len(often))


def _list_features(text: str, steps: Sequence[float], use_words: bool) -> set[str]:
    words = split_words(text) if use_words else []
    longer = (f"longer than {step}" for step in steps if count_words(text) > step)
    return {*words, *(f"{word} …" for word in words[:1]), *longer}
