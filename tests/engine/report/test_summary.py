"""What a finished run shows of its diversity."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import builders
from fakes.builders import (
    NEGATIVE_SEEDS,
    make_level,
    make_model,
    make_pair,
    make_seeds,
    make_stamp,
    make_test_plan,
)
from fakes.client import FakeClient, HeardProgress
from fakes.reply_tables import place_in
from fakes.word_vectors import WordVectors

from engine.asking.plan import Plan
from engine.choosing.diversity import measure_diversity, measure_texts
from engine.choosing.run_state import RunState
from engine.domain.finding import Finding
from engine.domain.verdict import PoleDiversity, Verdict
from engine.llm.client.request import Reply
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.report.summary import make_rejected_rows, make_sample_set
from engine.store.layout import REPORT, VERDICT
from engine.text.language import Language


def make_chosen(plan: Plan | None = None, count: int = 2) -> RunState:
    plan = plan or make_test_plan(make_model(seeds=make_seeds()), make_level(count))
    return builders.make_state(plan, *(item for index in range(count) for item in make_pair(index)))


def make_documents(folder: Path, state: RunState, *diversity: PoleDiversity) -> tuple[Any, str]:
    client = FakeClient(lambda _: Reply("", "stop", 0, 0, None))
    gateway = ModelGateway(client, place_in(folder), HeardProgress(), RunBudget(1))
    documents = make_sample_set(state, make_stamp(), Verdict((), (), {}, diversity), gateway, WordVectors()).documents
    return json.loads(documents[VERDICT]), documents[REPORT]


def test_diversity_of_every_pole_beside_that_of_its_own_seeds_is_in_the_verdict_and_the_report(tmp_path: Path) -> None:
    state = make_chosen()
    positive, negative = measure_diversity(state, WordVectors())
    verdict, report = make_documents(tmp_path, state, positive, negative)
    found = verdict["diversity"]["clarity"]["positive"]

    assert measure_texts(["Text 0 is positive.", "Text 1 is positive."], WordVectors()) == positive.exemplars
    assert measure_texts(NEGATIVE_SEEDS, WordVectors()) == negative.seeds
    assert (2, 3) == (found["count"], found["seeds"]["count"])
    assert "Eight count as" in report


def test_chosen_exemplars_of_a_set_that_failed_are_kept_among_its_rejected_rows() -> None:
    failed = Verdict((Finding("expect_a", "critical", "Expected that no text occurs twice: 1 of them"),), (), {})
    rows = make_rejected_rows(make_chosen(), make_stamp(), failed)

    assert 4 * ["surplus"] == [row["reason"] for row in rows]
    assert [] == make_rejected_rows(make_chosen(), make_stamp(), replace(failed, findings=()))


@pytest.mark.parametrize(("language", "known"), [("en", True), ("hi", False)])
def test_breaks_of_each_trait_are_in_the_verdict(tmp_path: Path, language: str, known: bool) -> None:
    plan = replace(make_test_plan(make_model(), make_level(10)), language=Language(language))
    verdict, report = make_documents(tmp_path, make_chosen(plan, 10))

    assert known == ("clarity" in verdict["breaks"])
    assert known != ("sentence encoder does not know the language" in report)
