"""The page is one inert, offline file that shows every model, and says first which need a person."""

import re

from fakes.conditions import make_condition, make_measures, make_trait_condition, survey

from engine.catalogue.condition import Counts, Fault, TraitAngle
from engine.report.catalogue_html import OPEN_MODELS, render_catalogue

HOSTILE = "</script><img src=x onerror=alert(1)>"


def test_page_begins_with_how_many_models_need_a_person_and_is_inert_and_fetches_nothing() -> None:
    angles = (TraitAngle("clarity", "safety", 0.97, 0.05),)
    two = make_trait_condition("clarity"), make_trait_condition("safety")
    bare = make_trait_condition("gone", defined=False, attached=Counts(), measure=None)
    broken = [
        make_condition(handle=f"u22a8.b-{n}", faults=(Fault(HOSTILE, ("exemplars plan x",)),))
        for n in range(OPEN_MODELS + 1)
    ]
    entangled = make_condition(*two, bare, handle="u22a8.entangled", measures=make_measures(angles=angles))
    found = survey(*broken, entangled, make_condition(cost_usd=0.25), notes=("No Prefect server is configured.",))
    page = render_catalogue(found)

    assert f"{OPEN_MODELS + 2} of {OPEN_MODELS + 3} models need a person" in page
    assert "No Prefect server is configured." in page
    assert "exemplars synthesize u22a8.entangled" in page
    assert HOSTILE not in page
    assert "default-src 'none'" in page
    assert [] == re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert page == render_catalogue(found)
    assert OPEN_MODELS == page.count('" open>')
    assert "There are no models" in render_catalogue(survey())
