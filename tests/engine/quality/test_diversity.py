"""Figures of variety tell a varied set from a collapsed one, and do not hang on how many texts there are."""

import itertools
import math
import random
from statistics import fmean

import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS, SCENARIO_POOL
from fakes.word_vectors import WordVectors

from engine.domain.samples import Scenario
from engine.planning.scenarios import measure_coverage
from engine.quality.diversity import SAMPLED_NGRAMS, SUBSET_SIZE, Coverage, Variety, measure_texts
from engine.text.embedding import SentenceEncoder

WHO = "Anna Bert Clara David Emma Farid Greta Henry Ingrid Jonas Karin Louis Maria Nadia Oscar Paula".split()
DID = "moved painted repaired lost sorted weighed counted wrapped cleaned sold borrowed hid".split()
THING = "kettle chair envelope battery ladder apple lamp ticket blanket bicycle violin honey printer tile".split()
PLACE = "bakery harbour attic bridge school market river chapel tram pharmacy cellar garden".split()
LETTERS = "abcdefgh"


def measure(*texts: str) -> Variety:
    return measure_texts(texts, WordVectors())


def write_varied(count: int) -> list[str]:
    """Texts of four words that are a function of their number, all of one frame of thought."""
    rng = random.Random(1)
    return [f"{rng.choice(WHO)} {rng.choice(DID)} {rng.choice(THING)} {rng.choice(PLACE)}" for _ in range(count)]


def write_from_template(count: int) -> list[str]:
    """One sentence with the noun changed."""
    nouns = itertools.product(THING, PLACE)
    return [f"Please check the {' '.join(noun)} before anybody else sees it" for noun in itertools.islice(nouns, count)]


def test_words_that_are_all_different_are_all_distinct() -> None:
    assert 1.0 == measure(" ".join(f"w{number}" for number in range(SAMPLED_NGRAMS))).distinct_1


def test_one_word_said_fifty_times_is_one_in_fifty() -> None:
    assert 0.02 == measure("a " * SAMPLED_NGRAMS).distinct_1


def test_distinct_words_are_those_expected_among_fifty() -> None:
    """Fifty words, each twice: one of them is not among fifty of the hundred with chance C(98, 50) / C(100, 50)."""
    words = [f"w{number}" for number in range(50)]
    missed = math.comb(98, 50) / math.comb(100, 50)

    assert round(1 - missed, 4) == measure(" ".join(words), " ".join(reversed(words))).distinct_1


def test_runs_of_words_end_with_their_text() -> None:
    """Fifty-one words of one text have fifty pairs; cut in two they have one pair fewer, which is too few."""
    words = [f"w{number}" for number in range(SAMPLED_NGRAMS + 1)]

    assert 1.0 == measure(" ".join(words)).distinct_2
    assert None is measure(" ".join(words[:20]), " ".join(words[20:])).distinct_2


def test_mean_cosine_is_over_pairs_of_different_texts() -> None:
    """Of the three pairs one shares half of its words: (.5 + 0 + 0) / 3."""
    assert 0.1667 == measure("red fox", "red hen", "blue cat").mean_cosine


def test_vendi_score_of_texts_with_nothing_in_common_is_their_number() -> None:
    found = measure("fox", "hen", "cat")

    assert (3.0, 1.0) == (found.vendi, found.vendi_share)


def test_vendi_score_is_the_exponential_of_the_entropy_of_the_kernel() -> None:
    """Two texts of cosine .5: the eigenvalues of [[.5, .25], [.25, .5]] are .75 and .25."""
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))

    assert round(expected, 4) == measure("red fox", "red hen").vendi


def test_vendi_score_is_the_same_from_either_side_of_the_kernel() -> None:
    """More texts than dimensions: ten texts, each sixty times, are as many as ten."""
    assert 10.0 == measure(*(WHO[:10] * 60)).vendi


def test_eight_different_texts_count_as_eight_and_eight_equal_ones_as_one() -> None:
    assert 8.0 == measure(*LETTERS).vendi_of_eight
    assert 1.0 == measure(*["a"] * 8).vendi_of_eight


def test_eight_of_many_are_the_mean_over_all_choices_of_eight() -> None:
    """Ten texts, three of them equal: the mean of Σλ² over the 45 choices, each worked out by itself."""
    texts = ["a", "a", "a", *"bcdefgh"]
    sums = [sum(one == other for one in chosen for other in chosen) / 64 for chosen in itertools.combinations(texts, 8)]

    assert round(1 / fmean(sums), 4) == measure(*texts).vendi_of_eight


def test_opening_is_shared_by_its_first_three_words_whatever_their_case() -> None:
    found = measure("In the end all", "in The END, some", "In the beginning", "At last")

    assert 0.5 == found.shared_openings


def test_openings_of_eight_are_the_mean_over_all_choices_of_eight() -> None:
    texts = ["a", "a", "a", "b", "b", *"cdefg"]
    shares = [sum(chosen.count(text) > 1 for text in chosen) / 8 for chosen in itertools.combinations(texts, 8)]
    found = measure(*texts)

    assert round(fmean(shares), 4) == found.shared_openings_of_eight
    assert 0.5 == found.shared_openings


def test_no_text_has_no_figures() -> None:
    nothing = dict.fromkeys(name for name in Variety.__slots__ if name not in ("count", "vendi"))

    assert Variety(count=0, vendi=0.0, **nothing) == measure()


def test_single_text_has_the_figures_that_need_no_other() -> None:
    found = measure("One text alone.")

    assert (1, 1.0, 1.0, 0.0) == (found.count, found.vendi, found.vendi_share, found.shared_openings)
    assert (None, None, None) == (found.mean_cosine, found.vendi_of_eight, found.distinct_1)


def test_texts_without_a_word_have_finite_figures() -> None:
    assert 0.0 == measure("…", "!").vendi
    assert 8.0 == measure(*["…"] * SUBSET_SIZE).vendi_of_eight


def test_seven_texts_are_too_few_for_figures_of_eight() -> None:
    found = measure(*LETTERS[:7])

    assert (None, None) == (found.vendi_of_eight, found.shared_openings_of_eight)


@pytest.mark.parametrize("count", [SUBSET_SIZE, 40, 160])
def test_collapsed_set_has_lower_figures_than_a_varied_one(count: int) -> None:
    varied, collapsed = (measure(*write(count)) for write in (write_varied, write_from_template))

    assert (varied.vendi_of_eight or 0) > 2.5 * (collapsed.vendi_of_eight or 8)
    assert varied.vendi > 2 * collapsed.vendi
    assert (varied.mean_cosine or 1) < 0.5 * (collapsed.mean_cosine or 0)
    assert (varied.shared_openings_of_eight or 0) < 0.1
    assert 1.0 == collapsed.shared_openings_of_eight


def test_comparable_figures_of_forty_lie_near_those_of_the_whole_while_raw_ones_do_not() -> None:
    texts = write_varied(160)
    few, many = measure(*texts[:40]), measure(*texts)

    for name in ("distinct_1", "distinct_2", "vendi_of_eight"):
        assert getattr(many, name) == pytest.approx(getattr(few, name), rel=0.05)
    assert many.shared_openings_of_eight == pytest.approx(few.shared_openings_of_eight, abs=0.03)
    assert many.mean_cosine == pytest.approx(few.mean_cosine, abs=0.03)
    assert many.vendi > 1.3 * few.vendi
    assert (many.shared_openings or 0) > 2 * (few.shared_openings or 0)


def test_mean_of_the_figures_of_parts_is_the_figure_of_the_whole() -> None:
    """No bias: over all parts of nine out of ten texts the openings of eight agree with those of the ten exactly."""
    texts = ["a", "a", "a", "b", "b", *"cdefg"]
    parts = [measure(*part).shared_openings_of_eight or 0 for part in itertools.combinations(texts, 9)]

    assert measure(*texts).shared_openings_of_eight == pytest.approx(fmean(parts), abs=2e-4)


def test_order_of_the_texts_does_not_matter_and_the_figures_are_rounded() -> None:
    texts = write_varied(50)
    found = measure(*texts)

    assert found == measure(*texts) == measure(*reversed(texts))
    figures = [value for name in Variety.__slots__ if (value := getattr(found, name)) is not None]
    assert [] == [value for value in figures if value != round(value, 4)]


def test_packaged_encoder_sees_paraphrases_that_words_do_not() -> None:
    paraphrases = [
        "The server went down last night.",
        "Our machine crashed overnight.",
        "During the night the host stopped working.",
        "Yesterday evening the computer failed.",
        "The system was not reachable after midnight.",
        "Late in the evening our server broke down.",
        "The host crashed in the night.",
        "Overnight the machine was unavailable.",
    ]
    varied = [*POSITIVE_SEEDS, *NEGATIVE_SEEDS, "I baked an apple cake.", "Harbour trams run until one."]
    encoder = SentenceEncoder()
    one, other = measure_texts(paraphrases, encoder), measure_texts(varied, encoder)

    assert (one.vendi_of_eight or 0) < 0.6 * (other.vendi_of_eight or 0)


def test_coverage_counts_what_is_used_of_what_so_many_texts_can_use() -> None:
    scenarios = [Scenario(f"subject {number % 3}", "a new colleague", "a note", "two") for number in range(4)]

    assert {
        "subject": Coverage(3, 4),
        "audience": Coverage(1, 2),
        "form": Coverage(1, 2),
        "length": Coverage(1, 2),
    } == measure_coverage(scenarios, SCENARIO_POOL)


def test_nothing_could_be_covered_by_no_text() -> None:
    assert {Coverage(0, 0)} == set(measure_coverage([], SCENARIO_POOL).values())


def test_without_an_encoder_words_are_measured_and_vectors_are_not() -> None:
    texts = [f"a text about matter{number} and nothing else" for number in range(20)]
    known, unknown = measure(*texts), measure_texts(texts, None)

    assert (None, 0.0, None, None) == (
        unknown.mean_cosine,
        unknown.vendi,
        unknown.vendi_share,
        unknown.vendi_of_eight,
    )
    assert (known.distinct_2, known.shared_openings) == (unknown.distinct_2, unknown.shared_openings)
