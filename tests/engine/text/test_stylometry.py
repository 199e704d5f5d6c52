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
    drifted = [find_drift(*pair) for pair in itertools.permutations([TWEET, LEGAL, NOVEL, SEED], 2)]

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
        ("first person", "I wrote my letter to our uncle.", "A letter goes to an uncle."),
        ("second person", "You wrote your letter.", "Letters are written."),
        ("third person", "He gave them her letter.", "A letter was given."),
        ("letters a word", "Extraordinary circumstances necessitate adaptation.", "It is so odd to go."),
        ("abstract nouns", "Regulation of the settlement needs acceptance.", "We settle and accept the rules."),
        ("past tense", "They walked home and slept; it rained.", "They walk home and sleep; it rains."),
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
    one = measure_spreads([SEED])
    alike = measure_spreads([SEED] * 40)

    assert all(own < general for own, general in zip(one.spreads, GENERAL_SPREADS.spreads, strict=True))
    assert all(own < prior for own, prior in zip(alike.spreads, one.spreads, strict=True))
    assert measure_spreads([]) == one
    # Varied habits allow more.
    assert find_drift(NOVEL, TOLD, measure_spreads([NOVEL] * 12)) is not None
    assert find_drift(NOVEL, TOLD, measure_spreads([TWEET, LEGAL, NOVEL, SEED] * 3)) is None


def test_one_word_of_a_kind_is_chance_and_two_are_not() -> None:
    seed = "The baker opens the oven at five and the first loaves go out at six."
    spreads = measure_spreads([seed] * 3)
    one = "The tailor shuts the shop at noon and the first settlement goes out at two."
    two = "The tailor shuts the shop at noon and the first settlement of arrangement at two."

    assert find_drift(seed, one, spreads) is None
    assert (find_drift(seed, two, spreads) or "").startswith("abstract nouns: 0.13, the seed has 0.00")


def test_variation_in_another_language_is_compared_by_what_is_of_any_language() -> None:
    seed = "Danke, und die Rechnung schicke ich Ihnen heute."
    other = "Danke, und die Bestellungsbestätigung verschicken wir morgen."

    assert (find_drift(seed, other) or "").startswith("wording: ")
    assert find_drift(seed, other, language="de") is None
    assert (find_drift(seed, f"{other[:-1]}: {'ja, ' * 3}gut!", language="de") or "").startswith("punctuation: ")
