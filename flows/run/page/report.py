"""Step 8, report: the verdict on the run page, as ``engine/report/run_page.py`` words it."""

from engine.choosing.rounds import Rounds
from engine.domain.verdict import Verdict
from engine.errors import ExemplarsError
from engine.estimate.estimate import Estimate
from engine.llm.gateway.budget import RunBudget
from engine.report.run_page import describe_verdict, escape, write_error, write_page
from engine.report.wording import NOTHING_ATTACHED
from engine.store.store import StoredSet
from engine.text.formatting import capitalise
from flows.run.page.artifacts import show_page


async def report(
    rounds: Rounds,
    verdict: Verdict,
    stored: StoredSet,
    estimate: Estimate,
    budget: RunBudget,
    api_url: str | None,
) -> None:
    """Puts the verdict on the run page as a markdown artifact, with a link to the report where there is an HTTP API.

    Not a task: an artifact that a task makes hangs on the task, one click further away from whoever looks at the run.
    The set is in the store by now, so a server that is away is no reason to call the run a failure.
    """
    headline, sentence = describe_verdict(rounds, verdict)
    page = write_page(rounds, verdict, stored, estimate, budget, api_url)
    # As paragraphs of their own: a card shows the first words of each.
    await show_page(stored.run_id, "verdict", page, f"{capitalise(headline)}\n\n{escape(sentence)}")


async def report_error(run_id: str, handle: str, error: ExemplarsError) -> None:
    """Puts the error that ended a run without a verdict on its page, in its own words."""
    said = f"{capitalise(NOTHING_ATTACHED)}\n\n{escape(' '.join(str(error).split()))}"
    await show_page(run_id, "verdict", write_error(handle, str(error)), said)
