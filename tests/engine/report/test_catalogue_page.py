"""The pages say first how many models need a person, then what and what to type; they are inert and stay usable."""

import re
from dataclasses import replace

from fakes.conditions import HANDLE, make_condition, survey

from engine.catalogue.condition import Fault
from engine.catalogue.findings import KINDS
from engine.report.catalogue_html import OPEN_MODELS, render_catalogue
from engine.report.catalogue_page import EXPLANATIONS, KIND_NAMES, MAX_DETAILED, MAX_ROWS, write_catalogue_page

FILE = "samples/__catalogue__/catalogue.html"
HOSTILE = "</script><img src=x onerror=alert(1)>"
BROKEN = make_condition(handle="u22a8.broken", faults=(Fault(f"*1* {HOSTILE}", ("exemplars plan",)),))
MANY = [replace(BROKEN, handle=f"u22a8.broken-{number}") for number in range(MAX_ROWS + 7)]


def test_page_says_how_many_need_a_person_and_has_each_finding_with_what_to_type_and_then_all_models() -> None:
    page = write_catalogue_page(survey(BROKEN, make_condition(cost_usd=1.5), notes=("No server.",)), FILE)

    assert page.startswith("# 1 of 2 models needs a person\n\n**32 synthesized samples in 2 attached sets, 8 authored;")
    assert "- No server." in page
    assert f"`{FILE}`" in page
    assert "**Cannot be read**: \\*1\\* \\</script\\>" in page
    assert "\n\n```sh\nexemplars plan\n```" in page
    assert f"| {HANDLE} | draft | nothing | 16 | 0.95 | attached, 2026-11-25 | $1.50 |" in page
    assert write_catalogue_page(survey(), FILE).startswith("# There are no models\n")
    assert list(KINDS) == list(KIND_NAMES) == list(EXPLANATIONS)


def test_thousands_of_models_make_a_page_that_says_what_is_not_shown() -> None:
    page = write_catalogue_page(survey(*MANY), FILE)

    assert MAX_DETAILED == page.count("\n## u22a8.")
    assert f"And {MAX_ROWS + 7 - MAX_DETAILED} more models that need a person." in page
    assert "7 more models in the HTML page." in page


def test_html_begins_with_how_many_need_a_person_and_is_inert_and_fetches_nothing() -> None:
    page = render_catalogue(survey(*MANY, make_condition(cost_usd=0.25), notes=("No server.",)))

    assert f"{len(MANY)} of {len(MANY) + 1} models need a person" in page
    assert "No server." in page
    assert HOSTILE not in page
    assert "default-src 'none'" in page
    assert [] == re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert OPEN_MODELS == page.count('" open>')
    assert "There are no models" in render_catalogue(survey())
