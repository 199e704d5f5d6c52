"""Models of kinds of text that the catalogue has not: each gets scenarios of its own kind, or those it asks for."""

from pathlib import Path

import pytest
from fakes.builders import make_level

from engine.definitions.loader import list_handles, load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.planning.scenarios import choose_scenario_pool
from engine.run.job import Job, plan_job
from engine.text.embedding import SentenceEncoder

GENRES = str(Path(__file__).parent / "genres")
PACKS = load_packs(SCENARIOS_FOLDER)
# The pack that gives the subjects, the forms, whom the texts are for (none: the pack's), and the words of the longest.
EXPECTED = {
    "test.product-reviews": ("products", ("a product review",), ("a shopper",), 40),
    "test.commit-titles": ("commits", ("a commit title",), ("a maintainer",), 10),
    "test.poems": ("arts-books", ("a short poem",), ("a reader of a literary magazine",), 40),
    "test.legal-clauses": ("contracts", ("a clause of a contract",), ("a tenant", "an owner of small companies"), 40),
    "test.chat-messages": ("everyday", ("a chat message",), ("a friend", "a colleague"), 13),
    "test.job-ads": ("business", ("a job ad",), ("an applicant", "a nurse", "a programmer"), 110),
    "test.headlines": ("politics-news", ("a headline",), (), 12),
}


@pytest.mark.parametrize("handle", list_handles(GENRES))
def test_model_gets_scenarios_of_its_own_kind_in_the_plan_of_each_strategy(handle: str) -> None:
    model = load_model(GENRES, handle)
    pool = choose_scenario_pool(model, PACKS)
    pack, forms, audiences, longest = EXPECTED[handle]
    kind = forms[0].split()[-1]

    assert (pack, forms) == (pool.pack, pool.forms)
    assert set(audiences or PACKS.packs[pack].audiences) <= set(pool.audiences)
    assert longest == max(length.max_words for length in pool.lengths)
    # The kind of text is no subject.
    assert [] == [subject for tier in pool.subjects[:-2] for subject in tier if kind in subject]
    for synth_type in ("from_traits", "enrich") if not model.seeds else ("from_traits", "diversify", "enrich"):
        plan = plan_job(Job(model, synth_type, make_level(8)), PACKS, 0, SentenceEncoder())
        assert forms == plan.scenario_pool.forms
        assert sum(map(len, plan.scenario_pool.subjects)) >= 16
