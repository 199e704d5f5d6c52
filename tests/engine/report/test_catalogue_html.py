"""The page is one inert, offline file that shows every model, and says first which need a person."""

import re
from html import unescape

from fakes.conditions import make_condition, make_drift, make_measure, make_measures, make_trait_condition, survey

from engine.catalogue.condition import Counts, Fault, TraitAngle
from engine.catalogue.survey import Survey
from engine.report.catalogue_html import OPEN_MODELS, render_catalogue

HOSTILE = "</script><img src=x onerror=alert(1)>"


def make_survey() -> Survey:
    angles = (TraitAngle("clarity", "safety", 0.97, 0.05),)
    two = make_trait_condition("clarity"), make_trait_condition("safety")
    drifted = make_trait_condition(measure=make_measure(drift=make_drift()), held_out=Counts(3, 3))
    bare = make_trait_condition("gone", defined=False, attached=Counts(), measure=None)
    return survey(
        make_condition(handle="u22a8.broken", faults=(Fault(f"model.yaml: {HOSTILE}", ("exemplars plan x",)),)),
        make_condition(*two, handle="u22a8.entangled", measures=make_measures(angles=angles)),
        make_condition(drifted, bare, handle="u22a8.drifted", state="ready"),
        make_condition(cost_usd=0.25),
        notes=("No Prefect server is configured.",),
    )


def test_page_begins_with_how_many_models_need_a_person_and_is_inert_and_fetches_nothing() -> None:
    page = render_catalogue(make_survey())
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
    said = (
        "✕ 3 of 4 models need a person",
        "1 note No Prefect server is configured.",
        "Clarity and Safety: 14° between their axes (cosine 0.97 ± 0.05).",
        "exemplars synthesize u22a8.entangled",
        "0.97, drifted",
        "6 more held out for evaluation",
        "Gone not in model.yaml",
        "2 + 8",
    )

    assert [] == [line for line in said if line not in words]
    assert HOSTILE not in page
    assert "default-src 'none'" in page
    assert [] == re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert page == render_catalogue(make_survey())
    assert "There are no models" in render_catalogue(survey())


def test_only_the_first_that_need_a_person_are_open() -> None:
    broken = [make_condition(handle=f"u22a8.b-{n}", faults=(Fault("x", ()),)) for n in range(OPEN_MODELS + 3)]

    assert OPEN_MODELS == render_catalogue(survey(*broken)).count('" open>')
    assert 0 == render_catalogue(survey(make_condition())).count('" open>')
