"""Notes: what a reader of the report should know that is no fault of the run: what was left out, and why."""

from engine.definitions.effort import Level
from engine.domain.model import Model
from engine.llm.embedded_model import is_embedded
from engine.llm.request import Endpoint


def list_notes(model: Model, level: Level, endpoint: Endpoint) -> tuple[str, ...]:
    """A sentence each: what of the definition is not read, what of the effort the models cannot do."""
    notes = [f"Skipped: {skipped.what} ({skipped.why})." for skipped in model.skipped]
    if level.thinking != "none" and not endpoint.thinks:
        notes.append(f"Thinking {level.thinking} was asked for; {endpoint.name} has none, so it was left out.")
    if level.judge_votes and is_embedded(level.judge_model):
        notes.append(
            f"Judge votes on each text were asked for ({level.judge_votes}); the judge model is {level.judge_model}, "
            "which casts none. EXEMPLARS_JUDGE_MODEL names one that does."
        )
    return tuple(notes)
