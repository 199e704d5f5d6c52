"""The report is one inert, offline page that puts the verdict first and holds every row."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any, get_args

import pytest
from fakes.builders import make_exemplar, make_stamp
from playwright.sync_api import Locator, Page, expect, sync_playwright

from engine.domain.model import POLES, Pole
from engine.domain.samples import Reason, Row, Scenario
from engine.domain.samples import make_row as sample_row
from engine.domain.votes import VoteCounts
from engine.quality.breaks import find_breaks
from engine.quality.diversity import Coverage, PoleVariety, Variety
from engine.quality.outlook import Outlook
from engine.quality.verdict import ExpectationResult
from engine.report.charts import MAX_MARKS
from engine.report.costs import Attempt, Costs, PoleCost, Spending
from engine.report.diversity_table import MEASURES
from engine.report.html import PoleCount, ReportData, render_report
from engine.report.separation_table import MEANINGS, Separation
from engine.report.wording import EXPLANATIONS
from engine.text.formatting import format_cost, name_plainly
from engine.text.near_duplicates import DuplicatePair

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \"quoted\" & 'so'"
CHROMIUM = shutil.which("chromium")


def make_row(number: int, pole: Pole = "positive", **changes: Any) -> Row:
    scenario = Scenario(f"subject {number}", "new users", "note", "one sentence")
    made = replace(make_exemplar(f"Text number {number}.", pole, number), scenario=scenario)
    return sample_row(made, make_stamp(), None) | {"id": number, **changes}  # type: ignore[return-value]


def make_data(**changes: Any) -> ReportData:
    data = ReportData(
        handle="u22a8.technical-writing",
        description="Whether documentation is understood at once.",
        run_id="run-1",
        synth_type="from_traits",
        effort="low",
        synth_model="embedded",
        created_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
        success=True,
        failed=(),
        warnings=("The share of Obscure is 0.38.",),
        notes=("Two samples lie between the poles.",),
        counts=(
            PoleCount("clarity", "Clarity", "positive", "Clear", 2, 2),
            PoleCount("clarity", "Clarity", "negative", "Obscure", 2, 2),
        ),
        kept=tuple(make_row(number, pole) for number, pole in enumerate(POLES * 2)),
        rejected=(
            make_row(10, reason="too_short", text="Too short."),
            make_row(11, reason="cell_failed", text=None, pole="negative"),
        ),
        reasons={"too_short": 1, "cell_failed": 1},
        duplicates=(DuplicatePair("near_duplicate", "clarity", "one two three", "one two four", 0.93),),
        expectations=(
            ExpectationResult("run", "expect_no_duplicates", True, "critical", "0 pairs"),
            ExpectationResult("whole", "neither pole is under 0.40", False, "warning", "0.38"),
        ),
        separations=(Separation("clarity", 0.91, (0, 2), ("the first word alone tells the poles apart",), 0.78),),
        positions={0: 0.9, 1: 0.1, 2: 0.4, 3: 0.2, 10: 0.5},
    )
    return replace(data, **changes)


def make_empty() -> ReportData:
    counts = (PoleCount("clarity", "Clarity", "positive", "Clear", 0, 2),)
    nothing: dict[str, Any] = dict.fromkeys(("kept", "rejected", "duplicates", "expectations", "warnings", "notes"), ())
    failed = ("Every call failed.",)
    return make_data(success=False, failed=failed, counts=counts, reasons={}, positions={}, **nothing)


@cache
def render_large() -> str:
    kept = tuple(make_row(number, POLES[number % 2]) for number in range(4_000))
    rejected = tuple(make_row(number, reason="surplus") for number in range(4_000, 10_000))
    positions = {number: number % 97 / 96 for number in range(10_000)}
    return render_report(make_data(kept=kept, rejected=rejected, reasons={"surplus": 6_000}, positions=positions))


def read_table(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="exemplar-data">(.*?)</script>', page, re.DOTALL)
    assert found
    table: dict[str, Any] = json.loads(found[1])
    return table


def read_text(page: str) -> str:
    """What a person reads, spaces collapsed."""
    visible = re.sub(r"<(script|style|title).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", visible).split())


def test_verdict_stands_first_and_what_is_to_spare_is_counted_apart_from_what_was_rejected() -> None:
    page = render_report(make_data(reasons={"surplus": 87, "too_short": 9}))
    text = read_text(page)

    headline = "4 attached, with 1 warning: look before you train"
    assert f"! {headline} 2 for each pole of 1 trait; 9 rejected, 87 to spare." in text
    assert text.index("4 attached") < text.index("1 warning The share of") < text.index("Kept of wanted")
    assert f"<title>u22a8.technical-writing: {headline}</title>" in page
    assert "✓ 4 attached 2 for each" in read_text(render_report(make_data(warnings=())))
    assert "1 of 2 expectations met." in text
    assert "! not met neither pole is under 0.40 All that is attached warning 0.38 ✓ met Expect no dup" in text


def test_failure_says_that_nothing_was_attached_and_why_and_what_each_pole_lacks() -> None:
    counts = (PoleCount("clarity", "Clarity", "negative", "Obscure", 5, 8),)
    failed = ("Clarity lacks 3.", "Clarity doubles 1.")
    text = read_text(render_report(make_data(success=False, failed=failed, counts=counts)))

    assert "Nothing attached Clarity lacks 3. Clarity doubles 1." in text
    assert "Obscure 5 of 8 ✕ 3 short" in text
    assert "5 attached" not in text


def make_costs(*unpriced: str) -> Costs:
    poles = (PoleCost("clarity", "positive", 0.3, 2), PoleCost("clarity", "negative", 0.2, 2))
    total = Spending(0.52, 300, 120_000, 3_072, 0.004, 24_000)
    return Costs(total, poles, 0.02, Attempt(1.0, unpriced))


def test_facts_and_costs_are_told_with_their_units() -> None:
    votes = VoteCounts("openai/judge", texts=40, votes=85, disagreements=5, ties=2, invalid=1, position_flips=3)
    text = read_text(render_report(make_data(costs=make_costs("openai/<judge>"), votes=votes)))

    for told in (
        "Started 2025-01-02 03:04:05 UTC",
        "Judge openai/judge: 85 votes on 40 texts; 5 texts divided, 2 votes for neither pole, 1 unreadable, 3 for the "
        "same position after the poles were swapped",
        "Replies 300 Tokens 120,000 in, 3,072 of them cached, 24,000 out Cost $0.52 without openai/&lt;judge&gt;",
        "Clarity Clear $0.30 2 $0.15 Clarity Obscure $0.20 2 $0.10 Shared by all $0.0200 Together $0.52 4 $0.13",
        "No price is known for openai/&lt;judge&gt;: its cost is not counted.",
    ):
        assert told in text


def test_run_that_was_free_or_has_no_price_has_no_table_of_costs() -> None:
    free = render_report(make_data(costs=Costs(Spending(usd=0.0), make_costs().poles)))
    unpriced = render_report(make_data(costs=replace(make_costs("openai/judge"), total=Spending())))

    assert "What it cost" not in free
    assert "What it cost" in unpriced
    assert '<table class="costs"' not in unpriced
    assert "Judge" not in read_text(free)


def test_hostile_texts_are_inert_wherever_they_stand() -> None:
    page = render_report(
        make_data(
            handle=HOSTILE,
            description=HOSTILE,
            success=False,
            failed=(HOSTILE,),
            warnings=(HOSTILE,),
            notes=(HOSTILE,),
            counts=(PoleCount("clarity", HOSTILE, "positive", HOSTILE, 1, 1),),
            kept=(make_row(0, text=HOSTILE, scenario=json.dumps({"subject": HOSTILE})),),
            rejected=(make_row(1, text=HOSTILE, reason="surplus"),),
            reasons={HOSTILE: 1},
            duplicates=(DuplicatePair(HOSTILE, HOSTILE, HOSTILE, "other", 1.0),),
            expectations=(ExpectationResult(HOSTILE, HOSTILE, False, HOSTILE, HOSTILE),),
        )
    )

    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "\\u003c/script>\\u003cimg src=x onerror=alert(1)>" in page
    assert 2 == page.count("</script>")
    assert HOSTILE == read_table(page)["rows"][0]["text"]


def test_page_asks_nothing_of_a_network_and_is_the_same_for_the_same_data() -> None:
    data = make_data(description='See <a href="https://example.com">this</a>.')
    page = render_report(data)
    code = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)

    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" in page
    assert {"#exemplars", "data:,"} == set(re.findall(r'(?:src|href|action)\s*=\s*["\']([^"\']*)', code))
    assert [] == re.findall(r"@import|url\(|fetch\(|XMLHttpRequest|<(?:iframe|object|embed|base)", code)
    assert page == render_report(data)


def test_every_row_is_in_the_table() -> None:
    rows = read_table(render_report(make_data()))["rows"]
    scenario = {"subject": "subject 10", "audience": "new users", "form": "note", "length": "one sentence"}
    row = {"id": 10, "reason": "too_short", "trait": "clarity", "pole": "positive", "text": "Too short."}
    figures = {"round": 1, "words": 2, "lean": 0.5, "wrong_side": False}

    assert [0, 1, 2, 3, 10, 11] == [row["id"] for row in rows]
    assert [None] * 4 + ["too_short", "cell_failed"] == [row["reason"] for row in rows]
    assert row | scenario | figures == rows[4]
    assert None is rows[5]["text"]


def test_run_that_brought_nothing_and_one_of_no_trait_render() -> None:
    page = render_report(make_empty())

    assert [] == read_table(page)["rows"]
    for sentence in ("Nothing attached Every call failed.", "Nothing was left out.", "The gate did not run."):
        assert sentence in read_text(page)
    assert "No trait was asked for." in render_report(replace(make_empty(), counts=()))


def test_every_reason_is_explained_and_they_stand_from_most_to_fewest() -> None:
    assert set(get_args(Reason)) == set(EXPLANATIONS)
    page = render_report(make_data(reasons={str(reason): 1 for reason in get_args(Reason)}))
    few = render_report(make_data(separations=(), reasons={"refused": 0, "too_long": 2, "surplus": 9}))

    assert [] == [sentence for sentence in EXPLANATIONS.values() if sentence not in page]
    assert ["surplus", "too_long"] == re.findall(r'data-status="(\w+)"', few)


def test_samples_are_drawn_by_pole_and_standing_and_their_lengths_told() -> None:
    page = render_report(make_data())
    lengths = render_report(make_data(kept=tuple(make_row(number, text="word " * number) for number in (4, 8, 6))))

    assert "Kept and on their own side of the middle: 1 of 2 Clear, 2 of 2 Obscure." in read_text(page)
    assert 1 == len(re.findall(r'<circle class="positive rejected".*<title>Clear, too short, at 0.50: Too short', page))
    assert 2 == len(re.findall(r'<path class="negative kept".*<title>Obscure, kept, at 0.\d0', page))
    assert "so there is no picture" in render_report(make_data(positions={}))
    assert "Clear: median 6, from 4 to 8, 3 samples." in read_text(lengths)


def make_variety(**changes: Any) -> Variety:
    figures = Variety(40, 0.9, 0.98, 1.0, 0.21, 24.64, 0.616, 5.96, 0.1, 0.03, 0.64, 0.91)
    return replace(figures, **changes)


def test_variety_of_exemplars_stands_beside_that_of_the_seeds_with_each_figure_explained() -> None:
    seeds = make_variety(count=10, vendi=8.7, vendi_of_eight=6.2, mean_cosine=0.18, shared_openings_of_eight=0.0)
    seeds = replace(seeds, word_order=0.58, seed_likeness=None)
    item = PoleVariety("clarity", "positive", make_variety(), seeds, {"subject": Coverage(39, 40)})
    page = render_report(make_data(variety=(item,)))
    text = read_text(page)

    assert (
        "Clarity Clear 6.0 seeds 6.2 24.6 of 40 seeds 8.7 of 10 0.21 seeds 0.18 98% seeds 98% 3% seeds 0% "
        "0.64 seeds 0.58 91% 39 of 40" in text
    )
    assert '<rect class="positive" width="74.5" height="10"/>' in page
    assert '<line class="tick" x1="77.5" x2="77.5" y1="-6" y2="16"/>' in page
    assert [] == [measure.name for measure in MEASURES if f"{measure.name} {measure.meaning}" not in text]


def test_figure_that_needs_more_texts_is_a_dash_and_variety_of_nothing_is_not_shown() -> None:
    few = make_variety(count=3, vendi=2.5, vendi_of_eight=None, shared_openings_of_eight=None)
    none = Variety(0, None, None, None, None, 0.0, None, None, None, None)
    text, empty = (
        read_text(render_report(make_data(variety=(PoleVariety("clarity", "negative", found, None, {}),))))
        for found in (few, none)
    )

    assert "Clarity Obscure – 2.5 of 3 0.21 98% – 0.64 91% –" in text
    assert "so there is no variety to measure" in empty


def test_first_twenty_duplicates_stand_side_by_side_with_what_differs() -> None:
    text = " ".join(render_report(make_data()).split())
    pairs = tuple(DuplicatePair("duplicate", "clarity", f"pair{n}", f"pair{n}", 1.0) for n in range(25))
    many = render_report(make_data(duplicates=pairs))

    for told in ("one two <u>three</u>", "one two <u>four</u>", "0.93"):
        assert told in text
    assert (True, False) == ("pair19" in many, "pair20" in many)
    assert "These are the first 20 of 25 pairs." in many


def test_what_tells_the_poles_apart_stands_in_words_with_a_link_to_the_rows() -> None:
    page = render_report(make_data())
    text = read_text(page)
    few = read_text(render_report(make_data(separations=(Separation("clarity", None),))))

    assert "Clarity 0.91, clearly 2 texts the first word alone tells the poles apart 0.78, partly" in text
    assert [] == [name for name, meaning in MEANINGS if f"{name} {meaning}" not in unescape(text)]
    assert 'data-status="wrong_side" data-trait="clarity">2 texts</a>' in page
    assert [0, 2] == [row["id"] for row in read_table(page)["rows"] if row["wrong_side"]]
    assert "Clarity too few texts none none beyond chance –" in few


def make_outlook(texts: int, distance: float) -> Outlook:
    """Clusters of two stairs of scores, one above the other or not."""
    scores = [(positive, (distance if positive else 0) + step / texts) for step in range(texts) for positive in (1, 0)]
    above, below = ([score for positive, score in scores if positive == side] for side in (1, 0))
    return Outlook(0.95, find_breaks(above, below), tuple((bool(positive), score) for positive, score in scores))


def render_outlook(outlook: Outlook) -> str:
    page = render_report(make_data(separations=(Separation("clarity", 0.95, outlook=outlook),)))
    return page[page.index("Will it grade?") : page.index('id="between"')]


def test_clusters_are_drawn_with_the_breaks_between_them() -> None:
    page = render_outlook(make_outlook(20, 2.0))

    assert (20, 20) == (page.count("<title>Clear, "), page.count("<title>Obscure, "))
    assert ["developing", "solid", "strong"] == re.findall(r"<text [^>]*>(\w+)</text>", page)
    assert "<title>Clear, +2.95</title>" in page
    assert "Clarity: Enough, by its own texts." in read_text(page)
    assert "exemplars test" in page


def test_clusters_that_overlap_are_drawn_without_breaks_and_a_trait_without_any_not_at_all() -> None:
    overlapping, unknown = render_outlook(make_outlook(10, 0.1)), render_outlook(Outlook())

    assert ["overlap"] == re.findall(r"<text [^>]*>(\w+)</text>", overlapping)
    assert 'class="band overlap"' in overlapping
    assert "Clarity: Not known: a pole has fewer than 8 texts." in read_text(unknown)
    assert "<svg" not in unknown


def test_of_very_many_texts_all_rows_are_in_the_page_and_some_are_drawn() -> None:
    large, clusters = render_large(), render_outlook(make_outlook(2_000, 2.0))

    assert 10_000 == len(read_table(large)["rows"])
    assert large.count("<circle") + large.count("<path") < 2_000
    assert clusters.count("<circle") + clusters.count("<path") <= MAX_MARKS + 2
    assert "Of 4,000 texts, 572 are drawn, evenly chosen." in read_text(clusters)


def test_identifiers_and_costs_read_as_words() -> None:
    names = ("expect_no_duplicates", "ExpectNoDuplicates", "clarity: both poles")
    costs = (None, 0, 2.88e-7, 0.000288, 0.0012, 0.0999, 12.5)

    assert ["Expect no duplicates"] * 2 + ["clarity: both poles"] == [name_plainly(name) for name in names]
    assert ["not known", "$0.00", "$0.00000029", "$0.00029", "$0.0012", "$0.0999", "$12.50"] == [
        format_cost(usd) for usd in costs
    ]


@pytest.fixture(scope="module")
def browser_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The large report, open in a real browser on a narrow screen; no error and no request but for the file."""
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_large(), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 400, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        yield page
        browser.close()
    assert [path.as_uri()] == complaints


def first_text(page: Page) -> Locator:
    return page.locator("table.rows tbody tr td.text").first


def test_table_is_searched_filtered_sorted_and_paged(browser_page: Page) -> None:
    page, count = browser_page, browser_page.locator("#count")
    expect(count).to_have_text("showing 100 of 10,000")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400

    page.get_by_role("button", name="Show 100 more").click()
    expect(count).to_have_text("showing 200 of 10,000")

    page.get_by_label("Search", exact=True).fill("NUMBER 4999. text")
    expect(count).to_have_text("showing 1 of 10,000")
    expect(first_text(page)).to_have_text("Text number 4999.")

    page.get_by_role("button", name="Show all").click()
    # The rows come a moment later, and what moves under the mouse is not clicked.
    expect(count).to_have_text("showing 100 of 10,000")
    page.get_by_role("link", name="to spare").click()
    expect(count).to_have_text("showing 100 of 6,000 that match, of 10,000 in all")

    page.get_by_role("link", name="2 texts").click()
    expect(count).to_have_text("showing 2 of 10,000")
    expect(page.get_by_text("! reads like the other pole", exact=True)).to_have_count(2)
    expect(page.locator("#status option:checked")).to_have_text("reads like the other pole (2)")

    page.get_by_label("Status", exact=True).select_option("rejected")
    expect(count).to_have_text("showing 0 of 10,000")
    page.get_by_label("Trait", exact=True).select_option("")
    page.get_by_label("Status", exact=True).select_option("surplus")
    text = page.get_by_role("columnheader", name="Text")
    page.get_by_role("button", name="Text").press("Enter")
    expect(text).to_have_attribute("aria-sort", "ascending")
    expect(first_text(page)).to_have_text("Text number 4000.")
    page.get_by_role("button", name="Text").press("Enter")
    expect(text).to_have_attribute("aria-sort", "descending")
    expect(first_text(page)).to_have_text("Text number 9999.")

    page.get_by_label("Pole", exact=True).select_option("negative")
    expect(count).to_have_text("showing 0 of 10,000")
    expect(page.locator("#nothing")).to_have_text("No exemplar matches all of that.")
