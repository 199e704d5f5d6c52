"""The report is one inert, offline page that puts the verdict first and holds every row."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import make_budget, make_exemplar, make_model, make_stamp, make_trait
from playwright.sync_api import Page, expect, sync_playwright

from engine.axis.breaks import Breaks, find_breaks
from engine.choosing.probe import Probe
from engine.domain.definition import Pole
from engine.domain.finding import Finding
from engine.domain.model import POLES
from engine.domain.samples import Row, Scenario
from engine.domain.samples import make_row as sample_row
from engine.domain.verdict import ExpectationResult, Verdict
from engine.report.html import ReportData, render_report
from engine.report.separation import Separation
from engine.rules.rules import RULES

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \"quoted\" & 'so'"
CHROMIUM = shutil.which("chromium")
CLARITY = make_trait()
WARNING = Finding("expect_pole_share_to_be_at_least", "warning", "The share of Obscure is 0.38")
VERDICT = Verdict(
    (WARNING,),
    (
        ExpectationResult("run", "expect_no_duplicates", True, "critical", "0 pairs"),
        ExpectationResult("whole", "neither pole is under 0.40", False, "warning", "0.38"),
    ),
    {},
)
FAILED = replace(VERDICT, findings=(replace(WARNING, severity="critical"),))
CALM = replace(VERDICT, findings=())


def make_row(number: int, pole: Pole = "positive", **changes: Any) -> Row:
    scenario = Scenario(f"subject {number}", "new users", "note", "one sentence")
    made = replace(make_exemplar(f"Text number {number}.", pole, number), scenario=scenario)
    return sample_row(made, make_stamp(), None) | {"id": number, **changes}


def make_data(**changes: Any) -> ReportData:
    data = ReportData(
        model=make_model(CLARITY, description="Whether documentation is understood at once."),
        stamp=make_stamp(),
        synth_model="embedded",
        verdict=VERDICT,
        headline="4 attached, with 1 warning",
        summary="2 for each pole of 1 trait.",
        notes=("Two samples lie between the poles.",),
        counts=dict.fromkeys(((CLARITY.key, pole) for pole in POLES), (2, 2)),
        kept=tuple(make_row(number, pole) for number, pole in enumerate(POLES * 2)),
        rejected=(
            make_row(10, reason="too_short", text="Too short."),
            make_row(11, reason="cell_failed", text=None, pole="negative"),
        ),
        reasons={"too_short": 1, "cell_failed": 1},
        separations=(Separation(Probe("clarity", 0.91), (0, 2), ("the first word alone separates the poles",)),),
        details={10: "3 words"},
        positions={0: 0.9, 1: 0.1, 2: 0.4, 3: 0.2, 10: 0.5},
    )
    return replace(data, **changes)


def test_first_look_has_its_texts_first_and_no_gate() -> None:
    rejected = (make_row(10, reason="seed_copy", text="A copy."), make_row(11, "negative", reason="too_short"))
    kept = (make_row(0),)
    page = render(first_look=True, headline="A first look", kept=kept, rejected=rejected, verdict=CALM)
    said = read_text(page)

    assert {10: "A copy.", 11: "Text number 11."}.items() <= {row["id"]: row["text"] for row in read_rows(page)}.items()
    assert (
        said.index("Text number 0.")
        < said.index("[too short]")
        < said.index("It has less than half")
        < said.index("note")
    )
    for other in ("Synthesis report", "The gate", "Kept of wanted", "separated", "Eight count as", "exemplars remove"):
        assert other not in said


def render(**changes: Any) -> str:
    return render_report(make_data(**changes))


@cache
def render_large() -> str:
    kept = tuple(make_row(number, POLES[number % 2]) for number in range(4_000))
    rejected = tuple(make_row(number, reason="surplus") for number in range(4_000, 10_000))
    positions = {number: number % 97 / 96 for number in range(10_000)}
    return render(kept=kept, rejected=rejected, reasons={"surplus": 6_000}, positions=positions)


def read_rows(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="exemplar-data">(.*?)</script>', page, re.DOTALL)
    assert found
    rows: list[dict[str, Any]] = json.loads(found[1])["rows"]
    return rows


def read_text(page: str) -> str:
    visible = re.sub(r"<(script|style|title).*?</\1>", " ", page, flags=re.DOTALL)
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", visible).split()))


def test_verdict_stands_first() -> None:
    text = read_text(render())

    assert "! 4 attached, with 1 warning 2 for each pole of 1 trait. ! 1 warning The share of" in text
    assert text.index("4 attached") < text.index("Kept of wanted")
    assert "✓ 4 attached" in read_text(render(verdict=CALM))


def test_run_that_failed_says_that_nothing_was_attached_and_why_and_one_that_brought_nothing_renders() -> None:
    findings = (Finding("expect_a", "critical", "Clarity lacks 3"), Finding("expect_b", "critical", "It doubles 1"))
    failed = make_data(verdict=replace(FAILED, findings=findings), headline="Nothing attached", summary="")
    text = read_text(render_report(replace(failed, counts={(CLARITY.key, "negative"): (5, 8)})))
    nothing: dict[str, Any] = dict.fromkeys(("kept", "rejected", "notes"), ())

    assert "Nothing attached Clarity lacks 3. It doubles 1." in text
    assert "Obscure 5 of 8 ✕ 3 short" in text
    assert [] == read_rows(
        render_report(
            replace(failed, verdict=replace(FAILED, results=()), counts={}, reasons={}, positions={}, **nothing)
        )
    )


def test_hostile_texts_are_inert_wherever_they_stand() -> None:
    hostile = make_trait(name=HOSTILE, positive_label=HOSTILE)
    said = {**dict.fromkeys(("headline", "summary"), HOSTILE), "notes": (HOSTILE,)}
    page = render(
        **said,
        verdict=Verdict(
            (Finding(HOSTILE, "critical", HOSTILE), Finding(HOSTILE, "warning", HOSTILE, HOSTILE, HOSTILE)),
            (ExpectationResult(HOSTILE, HOSTILE, False, "warning", HOSTILE),),
            {},
        ),
        model=make_model(hostile, handle=HOSTILE, description=HOSTILE),
        counts={(hostile.key, "positive"): (1, 1)},
        kept=(make_row(0, text=HOSTILE, scenario=json.dumps({"subject": HOSTILE})),),
        rejected=(make_row(1, text=HOSTILE, reason="surplus"),),
        reasons={HOSTILE: 1},
    )

    assert "<img" not in page
    assert 2 == page.count("</script>")
    assert HOSTILE == read_rows(page)[0]["text"]


def test_page_asks_nothing_of_a_network_and_is_the_same_for_the_same_data() -> None:
    page = render(model=make_model(CLARITY, description='See <a href="https://example.com">this</a>.'))
    code = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)

    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" in page
    assert {"#exemplars", "data:,"} == set(re.findall(r'(?:src|href|action)\s*=\s*["\']([^"\']*)', code))
    assert render() == render()


def test_cost_is_shown_and_not_at_all_where_nothing_was_paid() -> None:
    text = read_text(render(budget=make_budget(0.52)))

    assert "the judge's votes included: $0.13 for each kept exemplar." in text
    assert "What it cost" not in read_text(render(budget=make_budget(0.0)))


def test_every_row_is_in_the_table() -> None:
    rows = read_rows(render())

    assert [0, 1, 2, 3, 10, 11] == [row["id"] for row in rows]
    assert [0, 2] == [row["id"] for row in rows if row["wrong_side"]]
    assert ("too_short", "3 words", "positive", "subject 10", "note", 2, 0.5) == tuple(
        rows[4][name] for name in ("reason", "detail", "pole", "subject", "form", "words", "lean")
    )
    assert (None, "cell_failed") == (rows[5]["text"], rows[5]["reason"])


def test_text_that_reads_like_the_other_pole_is_counted_once() -> None:
    """A duplicate that was rejected has the id of the text that was kept; of a failed run all texts are rejected."""
    twin, failed = make_row(0, reason="duplicate"), make_row(2, reason="surplus")
    rows = read_rows(render(kept=(make_row(0), make_row(1)), rejected=(twin, failed)))

    assert [(0, None), (2, "surplus")] == [(row["id"], row["reason"]) for row in rows if row["wrong_side"]]


def test_every_reason_is_explained_and_they_stand_from_most_to_fewest() -> None:
    page = render(reasons={rule.code: 1 for rule in RULES})
    few = render(separations=(), reasons={"refused": 0, "too_long": 2, "surplus": 9})

    assert [] == [rule.code for rule in RULES if rule.explanation not in page]
    assert ["surplus", "too_long"] == re.findall(r'data-status="(\w+)"', few)


@pytest.fixture
def browser_page(tmp_path: Path) -> Iterator[Page]:
    """The large report, open in a real browser on a narrow screen; no error and no request but for the file."""
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    path = tmp_path / "report.html"
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


def test_table_is_searched_filtered_sorted_and_paged(browser_page: Page) -> None:
    page, count = browser_page, browser_page.locator("#count")
    first_text = page.locator("table.rows tbody tr td.text").first
    expect(count).to_have_text("showing 100 of 10,000")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400

    page.get_by_role("button", name="Show 100 more").click()
    expect(count).to_have_text("showing 200 of 10,000")

    page.get_by_label("Search", exact=True).fill("NUMBER 4999. text")
    expect(count).to_have_text("showing 1 of 10,000")
    expect(first_text).to_have_text("Text number 4999.")

    page.get_by_role("button", name="Show all").click()
    # The rows come a moment later, and what moves under the mouse is not clicked.
    expect(count).to_have_text("showing 100 of 10,000")
    page.get_by_role("link", name="2 texts").click()
    expect(count).to_have_text("showing 2 of 10,000")
    expect(page.locator("#status option:checked")).to_have_text("reads like the other pole (2)")
    expect(page.locator("table.rows td.text code").first).to_have_text(re.compile(r"exemplars remove u22a8\.\S+ \d+$"))

    page.get_by_label("Trait", exact=True).select_option("")
    page.get_by_label("Status", exact=True).select_option("surplus")
    expect(count).to_have_text("showing 100 of 6,000 that match, of 10,000 in all")
    text = page.get_by_role("columnheader", name="Text")
    for order, shown in (("ascending", "Text number 4000."), ("descending", "Text number 9999.")):
        page.get_by_role("button", name="Text").press("Enter")
        expect(text).to_have_attribute("aria-sort", order)
        expect(first_text).to_have_text(shown)


APART = find_breaks([0.5, 0.6, 0.7, 0.8] * 2, [-0.4, -0.3, -0.2, -0.1] * 2)
OVERLAPPING = find_breaks([0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (APART, "developing from -0.17, solid from +0.57, strong from +0.72"),
        (OVERLAPPING, "none, since the clusters overlap from +0.08 to +0.23"),
    ],
)
def test_grades_are_told_with_their_breaks_or_why_there_are_none(breaks: Breaks, said: str) -> None:
    assert said == Separation(Probe("clarity", 0.95, breaks=breaks)).grades


def test_trait_that_was_not_measured_is_told_why() -> None:
    unknown = Separation(Probe("clarity", None), language_known=False)

    assert ("the sentence encoder does not know the language", "–") == (unknown.separable, unknown.grades)
