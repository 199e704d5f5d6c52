"""Finds what is amiss with the scenarios: fields without subjects, and a list that is written as one text."""

from collections.abc import Iterator

from engine.asking.scenarios import PROPOSABLE, advise_on_fields, choose_scenario_pool
from engine.authoring.hint import Examined, Hint
from engine.definitions.scenario_packs import Packs


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
    has_say = is_embedded and examined.language.encoder_has_say
    if has_say and (advice := advise_on_fields(choose_scenario_pool(examined.model, packs))):
        yield Hint("not_covered", examined.locate("brief", "domain"), advice)
