"""What a finished run shows of its variety."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import (
    NEGATIVE_SEEDS,
    POSITIVE_SEEDS,
    make_exemplar,
    make_level,
    make_model,
    make_seeds,
    make_stamp,
    make_test_plan,
)
from fakes.client import FakeClient, HeardProgress
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.request import Reply
from engine.quality.diversity import Coverage, measure_texts
from engine.quality.verdict import Verdict
from engine.report.summary import list_review, make_rejected_rows, make_sample_set, measure_variety
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds
from engine.settings import RepliesPlace
from engine.store.layout import REPORT, VERDICT
from engine.text.language import Language

TEXTS = ("The spare key lies in the drawer.", "Ask the porter for a new badge.")


def make_rounds(seeded: bool = True) -> Rounds:
    """Two exemplars at each pole, chosen."""
    model = make_model(seeds=make_seeds() if seeded else ())
    plan = make_test_plan(model, make_level(len(TEXTS)))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.take([make_exemplar(f"{text} ({pole})", pole, index) for index, text in enumerate(TEXTS) for pole in POLES])
    return rounds


def test_every_pole_is_measured_beside_its_own_seeds() -> None:
    positive, negative = measure_variety(make_rounds(), WordVectors())

    assert ("clarity", "positive", "negative") == (positive.trait, positive.pole, negative.pole)
    assert measure_texts([f"{text} (positive)" for text in TEXTS], WordVectors()) == positive.exemplars
    assert measure_texts(POSITIVE_SEEDS, WordVectors()) == positive.seeds
    assert measure_texts(NEGATIVE_SEEDS, WordVectors()) == negative.seeds
    assert {"subject": Coverage(2, 2), "form": Coverage(1, 2)}.items() <= positive.coverage.items()


def test_chosen_exemplars_of_a_set_that_failed_are_kept_among_its_rejected_rows() -> None:
    failed = Verdict(False, ("Expected that no text occurs twice: 1 of them.",), (), (), {}, ())
    rows = make_rejected_rows(make_rounds(), make_stamp(), failed)

    assert 2 * len(TEXTS) * ["surplus"] == [row["reason"] for row in rows]
    assert [] == make_rejected_rows(make_rounds(), make_stamp(), replace(failed, success=True))


def test_verdict_and_report_have_the_variety(tmp_path: Path) -> None:
    rounds = make_rounds()
    variety = measure_variety(rounds, WordVectors())
    verdict = Verdict(True, (), (), (), {}, variety)
    documents = make_sample_set(rounds, make_stamp(), verdict, make_gateway(tmp_path)).documents
    found = json.loads(documents[VERDICT])["variety"]["clarity"]["positive"]

    assert (2, variety[0].exemplars.vendi, 3) == (found["count"], found["vendi"], found["seeds"]["count"])
    assert {"used": 2, "possible": 2} == found["coverage"]["subject"]
    assert f"{variety[0].exemplars.vendi:.1f} of 2" in documents[REPORT]


@pytest.mark.parametrize(("language", "known"), [("en", True), ("hi", False)])
def test_outlook_of_each_trait_is_in_the_verdict(tmp_path: Path, language: str, known: bool) -> None:
    plan = replace(make_test_plan(make_model(), make_level(10)), language=Language(language))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.take([make_exemplar(f"{TEXTS[0]} {pole} {index}", pole, index) for index in range(10) for pole in POLES])
    [found] = list_review(rounds)
    verdict = Verdict(True, (), (), (), {}, ())
    documents = make_sample_set(rounds, make_stamp(), verdict, make_gateway(tmp_path)).documents
    outlook = json.loads(documents[VERDICT])["outlook"]["clarity"]

    assert found.outlook is not None
    assert (known, found.outlook.advice) == (found.language_known, outlook["advice"])
    assert known == (outlook["breaks"] is not None)
    assert known != ("sentence encoder does not know the language" in documents[REPORT])


def make_gateway(folder: Path) -> ModelGateway:
    """A gateway that nothing is asked of."""
    client = FakeClient(lambda _: Reply("", "stop", 0, 0, None))
    return ModelGateway(client, RepliesPlace(str(folder)), HeardProgress(), RunBudget(1))


def test_pole_without_seeds_has_none_beside_it_and_one_without_exemplars_is_measured_as_nothing() -> None:
    plan = make_test_plan()
    empty = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)

    assert [None, None] == [item.seeds for item in measure_variety(make_rounds(seeded=False), WordVectors())]
    assert [0, 0] == [item.exemplars.count for item in measure_variety(empty, WordVectors())]
