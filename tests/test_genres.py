"""Models of kinds of text that the catalogue has not: each gets scenarios of its own kind, or those it asks for."""

from pathlib import Path

import pytest
from fakes.builders import make_level

from engine.asking.scenarios import choose_scenario_pool
from engine.definitions.loader import list_handles, load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.run.job import Job, plan_job

GENRES = str(Path(__file__).parent / "genres")
PACKS = load_packs(SCENARIOS_FOLDER)
# A pack that has subjects of it, for all but job ads the most, and the words of the longest length.
EXPECTED = {
    "test.product-reviews": ("products", 40),
    "test.commit-titles": ("commits", 10),
    "test.poems": ("arts-books", 40),
    "test.legal-clauses": ("contracts", 40),
    "test.chat-messages": ("everyday", 13),
    "test.job-ads": ("business", 110),
    "test.headlines": ("politics-news", 12),
}


@pytest.mark.parametrize("handle", list_handles(GENRES))
def test_model_gets_scenarios_of_its_own_kind_in_the_plan_of_each_strategy(handle: str) -> None:
    model = load_model(GENRES, handle)
    pool = choose_scenario_pool(model, PACKS)
    packs = [name for name, pack in PACKS.packs.items() for subject in pack.subjects if subject in pool.subjects]
    pack, longest = EXPECTED[handle]

    # The encoder takes the drivers that are looked for to be those of devices.
    most = sorted(dict.fromkeys(packs), key=packs.count)[-1 if handle != "test.job-ads" else -3 :]
    assert pack in most
    assert longest == max(length.max_words for length in pool.lengths)
    for synth_type in ("from_traits", "enrich") if not model.seeds else ("from_traits", "diversify", "enrich"):
        plan = plan_job(Job(model, synth_type, make_level(8)), PACKS, 0)
        assert len(plan.scenario_pool.subjects) >= 16
