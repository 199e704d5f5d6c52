"""Two texts of one writer are near in voice, texts of other registers are not, and the sentence says by what."""

import itertools

import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS

from engine.text.stylometry import (
    FEATURES,
    GENERAL_SPREADS,
    MAX_LENGTH,
    MAX_SHARED_CONTENT,
    MIN_LENGTH,
    find_drift,
    measure_shared_content,
    measure_spreads,
    measure_voice,
)

SEED = "Each page stays in the cache for ten minutes. After that, the next visitor makes the server build a new copy."
VARIATION = (
    "Every draft waits in the outbox for one hour. During that time, a careful sender lets the client hold the mail."
)
TWEET = "CRAZY night!!! @anna can't believe it, we WON... you guys are the best! #victory #team #proud #gohome"
LEGAL = (
    "Notwithstanding the termination of this agreement, the indemnification of the licensee and the limitation of "
    "liability remain in force; the obligations of confidentiality likewise."
)
NOVEL = "He had said nothing to her when she left. They walked and walked, and the old house looked dark behind them."
TOLD = "Nobody had said anything when the lamp went out, and the man who owned it looked at his hands and laughed."


def drift(text: str, seed: str = SEED) -> str:
    return find_drift(seed, text) or ""


def test_registers_are_told_apart_either_way_by_a_feature_and_both_values() -> None:
    drifted = [find_drift(*pair) for pair in itertools.permutations([TWEET, LEGAL, SEED], 2)]

    assert all(drifted)
    assert drift(TWEET).startswith("informal marks: 0.")
    assert "the seed has 0.00 (" in drift(TWEET)
    assert find_drift(SEED, VARIATION) is None
    clear, obscure = POSITIVE_SEEDS, NEGATIVE_SEEDS
    assert all(find_drift(*pair, measure_spreads(clear)) for pair in itertools.product(clear, obscure))


@pytest.mark.parametrize(
    ("feature", "one", "other"),
    [
        ("words a sentence", "One two three four five six.", "One two three. Four five six."),
        ("punctuation", "Well, now (that is, today) we go: up.", "Well now that is today we go up."),
        ("informal marks", "We can't go! Nobody can't.", "We cannot go. Nobody cannot."),
        ("function words", "It is what we have to do.", "Turbines drive generators quickly downstream."),
        ("letters a word", "Extraordinary circumstances necessitate adaptation.", "It is so odd to go."),
    ],
)
def test_each_feature_has_more_of_what_it_is_named_for(feature: str, one: str, other: str) -> None:
    position = FEATURES.index(feature)
    more, less = measure_voice(one)[position], measure_voice(other)[position]

    assert more > less


def test_hyphen_and_apostrophe_inside_a_word_are_no_punctuation() -> None:
    position = FEATURES.index("punctuation")

    assert 0.0 == measure_voice("A well-known baker's oven is hot.")[position]
    assert measure_voice("We can't go.") == measure_voice("We can’t go.")


def test_length_outside_of_the_seeds_has_drifted_and_inside_has_not() -> None:
    seed = " ".join(["word"] * 20)

    for words, drifted in ((11, True), (12, False), (32, False), (33, True)):
        said = drift(" ".join(["term"] * words), seed)
        assert drifted == said.startswith(f"length: {words} words, the seed has 20")
    assert (12, 32) == (MIN_LENGTH * 20, MAX_LENGTH * 20)


def test_wording_of_the_seed_has_drifted_from_it_and_a_few_shared_words_have_not() -> None:
    seed = "The baker opens the oven, the gardener waters the roses, and the sailor mends the old sails."
    near = "The baker closes the oven, the gardener prunes the roses, and the sailor paints the new boat."
    far = "The tailor closes the shutter, the gardener prunes the hedges, and the pilot paints the new boat."

    assert drift(near, seed).startswith("wording: ")
    assert measure_shared_content(seed, far) < MAX_SHARED_CONTENT < measure_shared_content(seed, near)
    assert "" == drift(far, seed)
    # Counted in the shorter text.
    others = ("a red barrel in the yellow yard", "blue barrel", "")
    assert [1.0, 0.5, 0.0] == [measure_shared_content("red barrel", other) for other in others]


def test_habits_of_one_text_are_narrower_than_the_general_ones_and_of_many_their_own() -> None:
    one, alike = measure_spreads([SEED]), measure_spreads([SEED] * 40)

    assert (alike < one).all()
    assert (one < GENERAL_SPREADS).all()
    assert measure_spreads([]).tolist() == one.tolist()
    # Varied habits allow more.
    assert find_drift(NOVEL, TOLD, measure_spreads([NOVEL] * 12)) is not None
    assert find_drift(NOVEL, TOLD, measure_spreads([TWEET, LEGAL, NOVEL, SEED] * 3)) is None


def test_variation_in_another_language_is_compared_by_its_own_words() -> None:
    seed = "Danke, und die Rechnung schicke ich Ihnen heute."
    other = "Danke, und die Bestellung verschicken wir euch morgen."

    assert (find_drift(seed, other) or "").startswith("wording: ")
    assert find_drift(seed, other, language="de") is None
    assert "punctuation: " in (find_drift(seed, "Wir: ja, (die) Bestellung; morgen, euch, gut.", language="de") or "")
