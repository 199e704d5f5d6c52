"""The page says first how many models need a person, then what and what to type, and a table that stays usable."""

from dataclasses import asdict, replace

from fakes.conditions import (
    HANDLE,
    make_condition,
    make_drift,
    make_last,
    make_measure,
    make_measures,
    make_trait_condition,
    survey,
)

from engine.catalogue.condition import Counts, Fault, TraitAngle
from engine.catalogue.findings import KINDS
from engine.report.catalogue_page import (
    EXPLANATIONS,
    KIND_NAMES,
    MAX_DETAILED,
    MAX_ROWS,
    describe_angles,
    describe_model,
    describe_survey,
    format_apart,
    format_drift,
    write_catalogue_page,
)

FILE = "samples/__catalogue__/catalogue.html"
BROKEN = make_condition(
    handle="u22a8.broken", faults=(Fault("model.yaml: *1* mistake", ("exemplars plan u22a8.broken",)),)
)


def test_headline_says_how_many_need_a_person_and_the_sentence_how_much_there_is() -> None:
    dear = make_condition(cost_usd=1.5)

    assert ("1 of 2 models needs a person", "32 synthesized samples in 2 attached sets, 8 authored; $1.50 spent.") == (
        describe_survey(survey(BROKEN, dear))
    )
    assert "2 of 2 models need a person" == describe_survey(survey(BROKEN, BROKEN))[0]
    assert "No model needs a person" == describe_survey(survey(make_condition()))[0]
    assert write_catalogue_page(survey(), FILE).startswith("# There are no models\n\n**The catalogue is empty")


def test_every_kind_has_a_name_and_an_explanation() -> None:
    assert list(KINDS) == list(KIND_NAMES) == list(EXPLANATIONS)


def test_page_has_each_finding_with_what_to_type_and_then_all_models() -> None:
    page = write_catalogue_page(survey(BROKEN, make_condition(), notes=("No server.",)), FILE)

    assert page.startswith("# 1 of 2 models needs a person\n\n**32 synthesized samples")
    assert "- No server." in page
    assert f"`{FILE}`" in page
    assert (
        "## u22a8.broken\n\n**Cannot be read**: model.yaml: \\*1\\* mistake.\n\n```sh\nexemplars plan u22a8.broken\n```"
    ) in page
    assert f"| {HANDLE} | draft | nothing | 16 | 0.95 | attached, 2026-11-25 | – |" in page


def test_thousands_of_models_make_a_page_that_says_what_is_not_shown() -> None:
    many = [replace(BROKEN, handle=f"u22a8.broken-{number}") for number in range(MAX_ROWS + 7)]
    page = write_catalogue_page(survey(*many), FILE)

    assert MAX_DETAILED == page.count("\n## u22a8.")
    assert f"And {MAX_ROWS + 7 - MAX_DETAILED} more models that need a person." in page
    assert "7 more models in the HTML page." in page


def test_figure_says_what_it_means_and_one_that_there_is_not_says_why() -> None:
    few = make_trait_condition(measure=make_measure(auc=None, sureness=None, texts=2))
    unknown = make_condition(few, measures=make_measures(known=False))

    assert "too few texts" == format_apart(make_condition(few), few)
    assert "the sentence encoder does not know the language" == format_apart(unknown, few)
    assert "–" == format_drift(few)
    overlapping = make_trait_condition(measure=make_measure(auc=0.8, sureness="overlapping"))
    drifted = make_trait_condition(measure=make_measure(drift=make_drift()))

    assert "0.95, clearly" == format_apart(make_condition(), make_trait_condition())
    assert "0.80, partly" == format_apart(make_condition(overlapping), overlapping)
    assert "0.97, drifted" == format_drift(drifted)


def test_angles_are_named_and_marked_where_two_traits_say_one_thing() -> None:
    traits = make_trait_condition("clarity"), make_trait_condition("safety")
    angles = TraitAngle("clarity", "safety", 0.5, 0.1), TraitAngle("clarity", "safety", 1.0, 0.0)
    said = describe_angles(make_condition(*traits, measures=make_measures(angles=angles)))

    assert [
        ("Clarity and Safety: 60° between their axes (cosine 0.50 ± 0.10)", False),
        ("Clarity and Safety: 0° between their axes (cosine 1.00 ± 0.00)", True),
    ] == said


def test_json_has_all_that_the_page_has() -> None:
    drift = make_drift()
    trait = make_trait_condition(measure=make_measure(drift=drift), held_out=Counts(3, 4))
    [model] = survey(make_condition(trait, last=make_last("rejected"))).models
    found = describe_model(model)

    assert (["failed", "drift"], True) == ([finding["kind"] for finding in found["findings"]], found["needs_person"])
    [told] = found["traits"]
    assert {"positive": 8, "negative": 8} == told["samples"]["synthesized"]
    assert {"positive": 3, "negative": 4} == told["samples"]["held_out"]
    assert {"drifted": True, **asdict(drift)} == told["drift"]
    assert ("rejected", "2026-11-25T12:00:00+00:00") == (found["last_run"]["status"], found["last_run"]["at"])
