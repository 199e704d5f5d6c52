"""Exchange chosen pairs for equally good ones, until no simple feature, such as a word, separates the poles."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.domain.samples import Exemplar
from engine.text.embedding import Vectors
from engine.text.words import count_words, split_words

Pair = tuple[Exemplar, Exemplar]

# Among hundreds of words, one differs by two standard errors (of a word in half of the texts) by chance alone: when a
# coin assigned each pair's texts to its poles, the best word's AUC was .75 for 8 pairs and .62 for 40.
CHANCE_ERRORS = 2.0
# A feature with an AUC of at most .5 plus this teaches little, for any number of texts.
LEAST = 0.1
# The largest allowed loss of score when one pair replaces another, in standard deviations.
MAX_LOSS = 1.0
# With more entries, each of many exchanges would take some hundredths of a second, so no pairs are exchanged.
MAX_ENTRIES = 500_000


def exchange_pairs(
    chosen: Sequence[int],
    candidates: Sequence[Pair],
    scores: Sequence[float],
    most_exchanges: int,
    use_words: bool = True,
) -> list[int]:
    """Return the indices of the chosen candidates after one-for-one exchanges; all have different subjects.

    Each exchange is the one that most lowers the excess over chance of the AUCs of words, opening words and lengths.
    The new pair is as good as the old one, or nearly so; of equal exchanges the one with the better pair is made.

    Args:
        chosen: the indices of the chosen candidates.
        scores: higher is better.
        most_exchanges: the maximum number of exchanges.
        use_words: whether words and openings count; not for a topic or a claim, which they define.
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
        allowed_pairs = (~used | (subjects == subjects[out][:, None])) & (values >= values[out][:, None] - MAX_LOSS)
        left = np.where(allowed_pairs, _measure_exchanges(rows, out, allowed), np.inf)
        least = float(left.min())
        if least >= excess:
            break
        places, indices = np.nonzero(left == least)
        best = int(np.argmax(values[indices] - values[out][places]))
        picked[places[best]], excess = int(indices[best]), least
    return picked


def _measure_exchanges(rows: Vectors, out: Sequence[int], allowed: int) -> Vectors:
    sums = rows[out].sum(axis=0)
    # An exchange changes a sum by at most two.
    near = np.flatnonzero(np.abs(sums) > allowed - 2)
    sides = np.array([-1.0, 0.0, 1.0])
    left = np.maximum(0.0, np.abs(sums[near, None] - rows[np.ix_(out, near)][:, :, None] + sides) - allowed)
    is_new = rows[:, near, None] == sides
    return np.asarray(left.reshape(len(out), -1) @ is_new.reshape(len(rows), -1).T, dtype=np.float64)


def _list_differences(pairs: Sequence[Pair], allowed: int, use_words: bool) -> Vectors:
    """Return by pair and feature which text has it: 1 only the positive, -1 only the negative, 0 both or neither.

    Features that differ in at most ``allowed`` pairs are left out.
    """
    lengths = [count_words(item.text or "") for pair in pairs for item in pair]
    steps = np.quantile(lengths, [0.25, 0.5, 0.75]).tolist()
    texts = [[_list_features(item.text or "", steps, use_words) for item in pair] for pair in pairs]
    counts = Counter(feature for positive, negative in texts for feature in positive ^ negative)
    frequent = sorted(feature for feature, count in counts.items() if count > allowed)
    rows = [[(name in positive) - (name in negative) for name in frequent] for positive, negative in texts]
    return np.array(rows, dtype=np.float64).reshape(len(pairs), len(frequent))


def _list_features(text: str, steps: Sequence[float], use_words: bool) -> set[str]:
    words = split_words(text) if use_words else []
    longer = (f"longer than {step}" for step in steps if count_words(text) > step)
    return {*words, *(f"{word} …" for word in words[:1]), *longer}
