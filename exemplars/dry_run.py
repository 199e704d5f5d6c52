"""Plans a run without making it: what ``exemplars plan --json`` prints, as a value."""

from engine.domain.model import Effort, SynthType
from engine.errors import InputError
from engine.estimate.planned_run import PlannedRun
from engine.settings import read_settings
from flows.cli.plan import plan_run


def plan(
    handle: str,
    synth_type: SynthType = "from_traits",
    effort: Effort | None = None,
    *,
    only_lacking: bool = False,
    prompts: int = 2,
) -> PlannedRun:
    """What a run would do and cost. No model is asked, and nothing is written.

    Args:
        effort: None for the model's own, or ``high``.
        only_lacking: whether the run would only fill up what earlier ones have left.
        prompts: how many prompts of each kind to show, at most.

    Raises:
        InputError: what is asked for is wrong; of the model an UnknownModelError, DefinitionError, NoTraitsError,
            NoSeedsError or FrozenModelError.
        ProviderError: the embedded model's file is not there.
        StoreError: the catalogue or the store cannot be read.
    """
    if prompts < 0:
        raise InputError(f"prompts is {prompts}, and should be 0 or more")
    return plan_run(read_settings(), handle, synth_type, effort, only_lacking, prompts)
