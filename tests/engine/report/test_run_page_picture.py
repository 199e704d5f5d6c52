"""The picture of the run page is whole XML, says the counts, and has a mark for each sample that has a place."""

from xml.etree import ElementTree

from fakes.builders import make_exemplar, make_level, make_model, make_seeds, make_test_plan, make_trait
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES, Model
from engine.report.run_page_picture import MAX_TRAITS, draw_page
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds

SVG = "{http://www.w3.org/2000/svg}"


def draw(model: Model, count: int = 3) -> ElementTree.Element:
    """Two of each pole are chosen and the rest is rejected."""
    plan = make_test_plan(model, level=make_level(2))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.take(
        [
            make_exemplar(f"Words number {index} about {pole} things {'x' * index}.", pole, index, trait.key)
            for trait in model.traits
            for index in range(count)
            for pole in POLES
        ]
    )
    return ElementTree.fromstring(draw_page(rounds))


def count_marks(picture: ElementTree.Element, style: str) -> int:
    return sum(path.get("d", "").count("M") for path in picture.iter(f"{SVG}path") if path.get("class") == style)


def list_texts(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def test_every_sample_has_a_mark_by_pole_and_whether_it_is_kept_beside_the_counts() -> None:
    picture = draw(make_model(seeds=make_seeds()), count=3)

    assert [2, 2, 1, 1] == [
        count_marks(picture, f"mark {style}")
        for style in ("positive", "negative", "positive rejected", "negative rejected")
    ]
    assert ["Clarity", "Clear: 2 of 2", "Obscure: 2 of 2", "Obscure", "Clear"] == list_texts(picture)


def test_trait_whose_samples_have_one_place_has_no_strip() -> None:
    trait = make_trait(type="topic", positive_label="About", negative_label="Not about")
    picture = draw(make_model(trait), count=1)

    assert [] == list(picture.iter(f"{SVG}path"))
    assert "About: 1 of 2" in list_texts(picture)


def test_labels_that_are_long_or_hold_markup_or_control_characters_break_nothing() -> None:
    trait = make_trait(name="</text><script>\x00", positive_label="a very long label " * 9)
    texts = list_texts(draw(make_model(trait)))

    assert "</text><script>" == texts[0]
    assert "a very long label a very lo…: 2 of 2" == texts[1]


def test_more_traits_than_anybody_looks_at_are_left_out() -> None:
    traits = [make_trait(f"trait-{number}") for number in range(MAX_TRAITS + 2)]

    assert MAX_TRAITS == sum(text.startswith("Trait-") for text in list_texts(draw(make_model(*traits))))
