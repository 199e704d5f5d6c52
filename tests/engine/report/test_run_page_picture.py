"""The picture of the run page says the counts and has a mark for each sample with a place; markup breaks nothing."""

from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

from fakes.builders import make_level, make_model, make_pair, make_rounds, make_seeds, make_test_plan, make_trait

from engine.report.run_page_picture import draw_page

SVG = "{http://www.w3.org/2000/svg}"


def test_every_sample_has_a_mark_by_pole_and_whether_it_is_kept_beside_the_counts() -> None:
    hostile = make_trait(name="</text><script>\x00", positive_label="a very long label " * 9)
    plan = make_test_plan(make_model(hostile, seeds=make_seeds()), level=make_level(2))
    made = (
        replace(exemplar, text=f"Words number {index} about {exemplar.pole} things {'x' * index}.")
        for index in range(3)
        for exemplar in make_pair(index)
    )
    picture = ElementTree.fromstring(draw_page(make_rounds(plan, *made)))
    marks: Counter[str] = Counter()
    for path in picture.iter(f"{SVG}path"):
        marks[path.get("class", "")] += path.get("d", "").count("M")
    texts = [text.text for text in picture.iter(f"{SVG}text")]

    assert {"positive": 2, "negative": 2, "positive rejected": 1, "negative rejected": 1} == {
        style.removeprefix("mark "): count for style, count in marks.items() if style.startswith("mark ")
    }
    assert ["</text><script>", "a very long label a very lo…: 2 of 2", "Obscure: 2 of 2"] == texts[:3]
