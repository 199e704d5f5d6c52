"""Steps 4 and 5, screen and choose: check a round's exemplars with the rules, judge them, and choose."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.run_state import RunState
from engine.domain.samples import count_reasons
from engine.domain.votes import count_votes
from engine.report.wording import count_others, describe_votes
from engine.run.rounds import Generated, RunTools, screen_round
from engine.screening.in_context_judge import list_calibration_examples
from engine.text.formatting import name_reason


@task(name="screen", task_run_name="round {state.round_no}: screen", cache_policy=NO_CACHE, persist_result=False)
async def screen(state: RunState, generated: Generated, tools: RunTools) -> RunState:
    """Return the state after a round, with its chosen and rejected exemplars."""
    state = await screen_round(state, generated, tools)
    _log_choice(state)
    return state


def _log_choice(state: RunState) -> None:
    logger, choice = get_run_logger(), state.choice
    for trait, auc in state.judge_aucs.items() if state.round_no == 1 else ():
        if list_calibration_examples(state.plan.model, trait):
            logger.info("%s: the judge separates unseen seeds with an AUC of %.2f", trait, auc)
    reasons = count_reasons(choice.rejected)
    extra = {"round": state.round_no, "chosen": len(choice.chosen), "rejected": reasons}
    counts = ", ".join(f"{name_reason(reason)} {count}" for reason, count in reasons.items()) or "nothing else"
    logger.info(
        "Round %d: %d chosen; %s: %s", state.round_no, len(choice.chosen), count_others(choice), counts, extra=extra
    )
    votes = count_votes(exemplar.votes for exemplar in state.exemplars if exemplar.round_no == state.round_no)
    if votes.votes:
        logger.info("Round %d: %s", state.round_no, describe_votes(votes))
