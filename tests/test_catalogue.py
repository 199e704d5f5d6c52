"""The committed models are sound: their traits, briefs and seeds are fit to synthesize from."""

from itertools import pairwise
from statistics import mean

import pytest
from fakes.builders import make_exemplar, make_level, make_test_plan

from engine.definitions.loader import list_handles, load_model
from engine.definitions.scenario_packs import load_packs
from engine.domain.model import POLES, TRAIT_TYPES, Model, Seed
from engine.generation.prompts import FOLDER
from engine.planning.scenarios import choose_scenario_pool
from engine.screening.rules import Context, find_fault
from engine.screening.screener import Screener
from engine.settings import PROJECT_ROOT
from engine.text.language import decide_language
from engine.text.near_duplicates import find_pairs
from engine.text.words import count_words, normalise

MODELS = str(PROJECT_ROOT / "data" / "models")
CATALOGUE = {handle: load_model(MODELS, handle) for handle in list_handles(MODELS)}
TRAITS = [(handle, trait.key) for handle, model in CATALOGUE.items() for trait in model.traits]
SEEDED = [(handle, key) for handle, key in TRAITS if CATALOGUE[handle].seeds]
BRIEF_FIELDS = ("intent", "domain", "exemplars_of_good", "failure_modes", "edge_cases", "non_goals")


def list_texts(model: Model) -> list[tuple[str, str]]:
    """Each different text once: one line may label several traits."""
    return [(seed.place, seed.text) for seed in {seed.text: seed for seed in model.seeds}.values()]


def find_fault_of(model: Model, seed: Seed) -> object:
    instructions = "\n".join(path.read_text() for path in sorted(FOLDER.glob("*.jinja")))
    context = Context(
        trait=model.trait(seed.trait),
        pole=seed.pole or "positive",
        length=None,
        subject="",
        instructions=instructions,
        language=decide_language(model).tag,
        ends_marked=True,
    )
    return find_fault(seed.text, context)


def test_catalogue_has_eight_models_and_more_of_the_public_namespace() -> None:
    assert len(CATALOGUE) >= 8
    assert {"u22a8"} == {handle.split(".")[0] for handle in CATALOGUE}


@pytest.mark.parametrize(
    ("handle", "traits"),
    [
        ("u22a8.technical-writing", 2),
        ("u22a8.commit-message", 2),
        ("u22a8.compelling-readme", 2),
        ("u22a8.support-reply", 2),
    ],
)
def test_models_that_others_rely_on_are_there(handle: str, traits: int) -> None:
    assert traits == len(CATALOGUE[handle].traits)


def test_support_reply_judges_warmth_and_clarity() -> None:
    assert ["warmth", "clarity"] == [trait.key for trait in CATALOGUE["u22a8.support-reply"].traits]


def test_all_four_types_of_trait_occur() -> None:
    assert set(TRAIT_TYPES) == {trait.type for model in CATALOGUE.values() for trait in model.traits}


def test_one_spectrum_has_its_opposite_derived() -> None:
    text = (PROJECT_ROOT / "data" / "models" / "u22a8.plain-language" / "model.yaml").read_text()
    (trait,) = CATALOGUE["u22a8.plain-language"].traits

    assert "negative_label" not in text
    assert ("spectrum", "Plain", "Not plain") == (trait.type, trait.positive_label, trait.negative_label)


def test_one_model_has_its_seeds_in_a_csv_file() -> None:
    model = CATALOGUE["u22a8.plain-language"]

    assert {"u22a8.plain-language/seeds.csv"} == {seed.place.split(":")[0] for seed in model.seeds}


def test_one_model_has_no_seeds() -> None:
    assert ["u22a8.meeting-notes"] == [handle for handle, model in CATALOGUE.items() if not model.seeds]


def test_one_model_has_no_brief_and_some_have_a_full_one() -> None:
    filled = {
        handle: sum(bool(getattr(model.brief, field)) for field in BRIEF_FIELDS) for handle, model in CATALOGUE.items()
    }

    assert {"u22a8.technical-writing", "u22a8.meeting-notes"} <= {h for h, count in filled.items() if count == 6}
    assert ["u22a8.release-claims"] == [handle for handle, count in filled.items() if count == 0]


def test_one_source_that_is_not_read_here_is_named() -> None:
    assert {"u22a8.bug-report": ["huggingface source u22a8/public-bug-reports"]} == {
        handle: [item.what for item in model.skipped] for handle, model in CATALOGUE.items() if model.skipped
    }


@pytest.mark.parametrize("handle", CATALOGUE)
def test_model_says_in_one_line_what_it_judges(handle: str) -> None:
    description = CATALOGUE[handle].description

    assert 8 <= count_words(description) <= 25
    assert "\n" not in description


@pytest.mark.parametrize(("handle", "key"), TRAITS)
def test_trait_is_described_and_its_poles_have_different_labels(handle: str, key: str) -> None:
    trait = CATALOGUE[handle].trait(key)

    assert count_words(trait.description) >= 25
    assert normalise(trait.positive_label) != normalise(trait.negative_label)
    assert trait.paraphrase("positive")
    for phrase in (*trait.positive_paraphrase, *trait.negative_paraphrase):
        assert phrase.endswith(".")


@pytest.mark.parametrize(("handle", "key"), SEEDED)
def test_each_pole_has_6_to_12_seeds_and_as_many_as_the_other(handle: str, key: str) -> None:
    counts = [len(CATALOGUE[handle].seeds_at(key, pole)) for pole in POLES]

    assert counts[0] == counts[1]
    assert 6 <= counts[0] <= 12


@pytest.mark.parametrize("handle", CATALOGUE)
def test_every_seed_stands_at_a_pole(handle: str) -> None:
    assert [] == [seed for seed in CATALOGUE[handle].seeds if seed.pole is None]


@pytest.mark.parametrize("handle", CATALOGUE)
def test_no_two_seeds_of_a_model_are_duplicates_or_nearly(handle: str) -> None:
    assert [] == find_pairs(list_texts(CATALOGUE[handle]))


@pytest.mark.parametrize("handle", CATALOGUE)
def test_no_text_stands_on_two_lines(handle: str) -> None:
    places = sorted({(normalise(seed.text), seed.place) for seed in CATALOGUE[handle].seeds})

    assert [] == [(one, other) for one, other in pairwise(places) if one[0] == other[0]]


@pytest.mark.parametrize("handle", CATALOGUE)
def test_no_seed_breaks_a_rule_that_exemplars_are_held_against(handle: str) -> None:
    model = CATALOGUE[handle]

    assert [] == [(seed.place, fault) for seed in model.seeds if (fault := find_fault_of(model, seed))]


@pytest.mark.parametrize(("handle", "key"), SEEDED)
def test_seed_that_comes_back_is_rejected_as_a_copy_and_nothing_else(handle: str, key: str) -> None:
    model = CATALOGUE[handle]
    scenario_pool = choose_scenario_pool(model, load_packs(PROJECT_ROOT / "data" / "scenarios"))
    screener = Screener(make_test_plan(model, make_level(), scenario_pool), use_lengths=False)
    exemplars = [
        make_exemplar(seed.text, pole, number, trait=key)
        for pole in POLES
        for number, seed in enumerate(model.seeds_at(key, pole))
    ]

    assert {"seed_copy"} == {exemplar.reason for exemplar in screener.screen(exemplars)}


@pytest.mark.parametrize(("handle", "key"), SEEDED)
def test_poles_are_equally_long_so_that_length_tells_nothing(handle: str, key: str) -> None:
    positive, negative = (
        mean(count_words(seed.text) for seed in CATALOGUE[handle].seeds_at(key, pole)) for pole in POLES
    )

    assert 0.85 <= positive / negative <= 1 / 0.85


@pytest.mark.parametrize("handle", CATALOGUE)
def test_seeds_and_brief_are_in_english(handle: str) -> None:
    assert "en" == decide_language(CATALOGUE[handle]).tag
