"""Finds what is amiss with the scenarios: subjects that are another field's, and a list that is written as one text."""

from collections.abc import Iterator

from engine.authoring.hint import Examined, Hint
from engine.definitions.scenario_packs import Packs
from engine.planning.scenarios import GIVE_SUBJECTS, PROPOSABLE, borrows_subjects, choose_scenario_pool
from engine.text.formatting import join_words

SHOWN_SUBJECTS = 3


def list_scenario_hints(examined: Examined, packs: Packs, is_embedded: bool) -> Iterator[Hint]:
    """Lists the hints on scenarios.

    Args:
        is_embedded: whether an embedded model would write; a hosted one proposes subjects itself.
    """
    scenarios = examined.model.scenarios
    for part in PROPOSABLE:
        values = getattr(scenarios, part)
        if len(values) == 1 and "," in values[0]:
            said = f"{part} has one value, {values[0]!r}. If that is several, make it a list: [one, another]"
            yield Hint("one_value", examined.locate("scenarios", part), said)
    if not is_embedded:
        return
    pool = choose_scenario_pool(examined.model, packs)
    if borrows_subjects(examined.model, pool):
        shown = [f"“{subject}”" for subject in packs.packs[pool.pack].subjects[:SHOWN_SUBJECTS]]
        said = f"its subjects are {pool.reasons['subjects']}: {join_words(shown)} and such. {GIVE_SUBJECTS}"
        yield Hint("borrowed_subjects", examined.locate("scenarios"), said)
