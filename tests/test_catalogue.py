"""The committed models are sound: their traits, briefs and seeds are fit to synthesize from."""

from itertools import pairwise
from statistics import mean

import pytest
from fakes.builders import make_exemplar, make_level, make_test_plan

from engine.asking.prompts import FOLDER
from engine.asking.scenarios import choose_scenario_pool
from engine.definitions.loader import list_handles, load_model
from engine.definitions.scenario_packs import load_packs
from engine.domain.definition import TRAIT_TYPES
from engine.domain.model import POLES, Model, Seed
from engine.rules.faults import Context
from engine.rules.rules import find_fault
from engine.screening.screener import Screener
from engine.settings import PROJECT_ROOT
from engine.text.language import decide_language
from engine.text.near_duplicates import find_pairs
from engine.text.words import count_words, normalise

MODELS = PROJECT_ROOT / "data" / "models"
CATALOGUE = {handle: load_model(str(MODELS), handle) for handle in list_handles(str(MODELS))}
BRIEF_FIELDS = ("intent", "domain", "exemplars_of_good", "failure_modes", "edge_cases", "non_goals")
INSTRUCTIONS = "\n".join(path.read_text() for path in sorted(FOLDER.glob("*.jinja")))


def find_fault_of(model: Model, seed: Seed) -> object:
    context = Context(
        trait=model.trait(seed.trait),
        length=None,
        subject="",
        instructions=INSTRUCTIONS,
        language=decide_language(model).tag,
        ends_marked=True,
    )
    return find_fault(seed.text, context)


def test_catalogue_shows_what_a_model_can_be() -> None:
    """Every type of trait, seeds in CSV, none, a derived opposite, a full brief, none, and a source that is skipped."""
    plain = CATALOGUE["u22a8.plain-language"]
    filled = {
        handle: sum(bool(getattr(model.brief, field)) for field in BRIEF_FIELDS) for handle, model in CATALOGUE.items()
    }

    assert len(CATALOGUE) >= 8
    assert {"u22a8"} == {handle.split(".")[0] for handle in CATALOGUE}
    assert set(TRAIT_TYPES) == {trait.type for model in CATALOGUE.values() for trait in model.traits}
    assert "negative_label" not in (MODELS / "u22a8.plain-language" / "model.yaml").read_text()
    assert ["Not plain"] == [trait.negative_label for trait in plain.traits]
    assert {"u22a8.plain-language/seeds.csv"} == {seed.place.split(":")[0] for seed in plain.seeds}
    assert ["u22a8.meeting-notes"] == [handle for handle, model in CATALOGUE.items() if not model.seeds]
    assert {"u22a8.technical-writing", "u22a8.meeting-notes"} <= {h for h, count in filled.items() if count == 6}
    assert ["u22a8.release-claims"] == [handle for handle, count in filled.items() if count == 0]
    assert ["u22a8.bug-report"] == [handle for handle, model in CATALOGUE.items() if model.skipped]


@pytest.mark.parametrize("handle", CATALOGUE)
def test_model_says_what_it_judges_and_names_its_poles(handle: str) -> None:
    model = CATALOGUE[handle]

    assert 8 <= count_words(model.description) <= 25
    assert "\n" not in model.description
    assert "en" == decide_language(model).tag
    for trait in model.traits:
        assert count_words(trait.description) >= 25
        assert normalise(trait.positive_label) != normalise(trait.negative_label)
        assert trait.paraphrase("positive")
        for phrase in (*trait.positive_paraphrase, *trait.negative_paraphrase):
            assert phrase.endswith(".")


@pytest.mark.parametrize("handle", CATALOGUE)
def test_seeds_stand_at_a_pole_are_as_many_and_as_long_as_the_others_and_none_is_twice(handle: str) -> None:
    model = CATALOGUE[handle]
    places = sorted({(normalise(seed.text), seed.place) for seed in model.seeds})
    # Each different text once: one line may label several traits.
    texts = {seed.text: None for seed in model.seeds}

    assert [] == [seed for seed in model.seeds if seed.pole is None]
    assert [] == find_pairs(texts)
    assert [] == [(one, other) for one, other in pairwise(places) if one[0] == other[0]]
    for trait in model.traits if model.seeds else ():
        positive, negative = (model.seeds_at(trait.key, pole) for pole in POLES)
        lengths = [mean(count_words(seed.text) for seed in seeds) for seeds in (positive, negative)]
        assert 6 <= len(positive) == len(negative) <= 12
        assert 0.85 <= lengths[0] / lengths[1] <= 1 / 0.85


@pytest.mark.parametrize("handle", CATALOGUE)
def test_seed_breaks_no_rule_and_where_it_comes_back_is_a_copy(handle: str) -> None:
    model = CATALOGUE[handle]
    scenario_pool = choose_scenario_pool(model, load_packs(PROJECT_ROOT / "data" / "scenarios"))

    assert [] == [(seed.place, fault) for seed in model.seeds if (fault := find_fault_of(model, seed))]
    for trait in model.traits if model.seeds else ():
        screener = Screener(make_test_plan(model, make_level(), scenario_pool), use_lengths=False)
        exemplars = [
            make_exemplar(seed.text, pole, number, trait=trait.key)
            for pole in POLES
            for number, seed in enumerate(model.seeds_at(trait.key, pole))
        ]
        assert {"seed_copy"} == {exemplar.reason for exemplar in screener.screen(exemplars)}
