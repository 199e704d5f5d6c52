"""Lists what is to be known of a plan: what was decided for the model, and what is left out; for dry run and report."""

from collections.abc import Iterator

from engine.llm.embedded_model import is_embedded
from engine.llm.request import Endpoint
from engine.planning.plan import Plan
from engine.screening.patterns import list_lifted
from engine.text.formatting import count_noun
from engine.text.language import Language


def list_notes(plan: Plan, endpoint: Endpoint) -> tuple[str, ...]:
    """Lists sentences on what was decided for a model, what of its definition is not read, and what is left out.

    Args:
        endpoint: the synth model's.
    """
    level = plan.level
    notes = [*_describe_language(plan.language)]
    notes += [f"Skipped: {skipped.what} ({skipped.why})." for skipped in plan.model.skipped]
    notes += [
        f"The rule against {item.name} does not hold here: {item.place} has {item.found!r}."
        for item in list_lifted(plan.model, plan.scenario_pool.forms)
        if item.by_text
    ]
    if level.thinking != "none" and not endpoint.thinks:
        notes.append(f"The effort asks for {level.thinking} thinking; {endpoint.name} has none, so it was left out.")
    if level.judge_votes and is_embedded(level.judge_model):
        notes.append(
            f"The effort asks for {count_noun(level.judge_votes, 'judge vote')} on each text, but the judge model "
            f"({level.judge_model}) casts none. Name one that does in EXEMPLARS_JUDGE_MODEL."
        )
    return tuple(notes)


def _describe_language(language: Language) -> Iterator[str]:
    """Yields what language was decided and why, and whether the sentence encoder knows it."""
    yield f"The texts are to be in {language.name} ({language.tag}): {language.why}."
    if not language.encoder_has_say:
        yield (
            f"The sentence encoder does not know {language.name}: the place between the poles, the probe, the subjects "
            "and the diversity of meanings have no say in choice and gate, so look at the texts before you train."
        )
