"""The picture of the run page is whole XML, says the counts, and has a mark for each sample that has a place."""

from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

from fakes.builders import make_level, make_model, make_pair, make_rounds, make_seeds, make_test_plan, make_trait

from engine.domain.model import Model
from engine.report.run_page_picture import MAX_TRAITS, draw_page

SVG = "{http://www.w3.org/2000/svg}"


def draw(model: Model, count: int = 3) -> ElementTree.Element:
    """Two of each pole are chosen and the rest is rejected."""
    made = [
        replace(exemplar, text=f"Words number {index} about {exemplar.pole} things {'x' * index}.")
        for trait in model.traits
        for index in range(count)
        for exemplar in make_pair(index, trait.key)
    ]
    return ElementTree.fromstring(draw_page(make_rounds(make_test_plan(model, level=make_level(2)), *made)))


def list_texts(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def test_every_sample_has_a_mark_by_pole_and_whether_it_is_kept_beside_the_counts() -> None:
    picture = draw(make_model(seeds=make_seeds()))
    marks: Counter[str] = Counter()
    for path in picture.iter(f"{SVG}path"):
        marks[path.get("class", "")] += path.get("d", "").count("M")

    assert {"positive": 2, "negative": 2, "positive rejected": 1, "negative rejected": 1} == {
        style.removeprefix("mark "): count for style, count in marks.items() if style.startswith("mark ")
    }
    assert ["Clarity", "Clear: 2 of 2", "Obscure: 2 of 2", "Obscure", "Clear"] == list_texts(picture)


def test_markup_breaks_nothing_and_of_many_traits_the_first_are_drawn() -> None:
    hostile = make_trait(name="</text><script>\x00", positive_label="a very long label " * 9)
    traits = [make_trait(f"trait-{number}") for number in range(MAX_TRAITS + 2)]

    assert ["</text><script>", "a very long label a very lo…: 2 of 2"] == list_texts(draw(make_model(hostile)))[:2]
    assert MAX_TRAITS == sum(text.startswith("Trait-") for text in list_texts(draw(make_model(*traits))))
