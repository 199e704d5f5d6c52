"""Judge exemplars with the embedded model: it sees the seeds in mixed order, and returns the odds of the two verdicts.

docs/decisions/003-choice.md has the measurements of this form and of other forms.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from engine.asking.plan import Plan
from engine.asking.prompts import JUDGE_SHOTS_PER_POLE, VERDICTS, write_judge_prompt
from engine.axis.separation import rank_auc
from engine.domain.model import POLES, Model, Seed
from engine.domain.progress import CallsPlanned, Progress
from engine.domain.samples import Exemplar
from engine.errors import RequestRefusedError, RetryableProviderError
from engine.llm.client.request import Request
from engine.llm.gateway.model_gateway import ModelGateway
from engine.system.concurrency import gather_or_cancel, log_context

LOGGER = logging.getLogger("exemplars.judge")
TOP_TOKENS = 60
# The log probability assumed for a verdict that is not among the likeliest tokens.
FLOOR = -12.0
# Few at a time, because each of the server's slots must read the shots once, and the shots are the same for all texts:
# 60 texts took 9.5 s two at a time and 21.9 s eight at a time.
MAX_IN_FLIGHT = 2
# A judge with a lower AUC on unseen seeds is not used. On four traits with twelve seeds each it reached .00 to .97,
# depending on the trait and on the order of the seeds (docs/decisions/003-choice.md).
MIN_AUC = 0.6
# The AUC assumed if there are as many seeds as the judge can be shown. With ten seeds per pole it reached .92 and 1.00
# (docs/decisions/003-choice.md), and the order hardly mattered. Measuring it on each of twenty seeds would take as long
# as judging a hundred texts, because no two of these prompts have a long common prefix.
ASSUMED_AUC = 0.9
# Limits the calls if one pole has few seeds and its opposite has many.
MAX_CALIBRATION_EXAMPLES = 100


class InContextJudge:
    """The embedded model as the judge of a plan's texts.

    Raises:
        ProviderError, BudgetError, StoreError: raised by both methods, as by ``ModelGateway.complete``.
    """

    def __init__(self, plan: Plan, gateway: ModelGateway) -> None:
        self._plan, self._gateway = plan, gateway
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def measure_aucs(self, progress: Progress) -> dict[str, float]:
        """Measure the judge's AUC on unseen seeds, by trait key: for each seed, the judge is shown all other seeds.

        If a trait has as many seeds as the judge can be shown, nothing is measured and the AUC is ``ASSUMED_AUC``. Left
        out are traits without seeds at both poles, all traits if the endpoint returns no odds, and traits that an axis
        places: there the judge adds nothing (docs/decisions/003-choice.md), and took a third of a run's time.
        """
        aucs, model = {}, self._plan.model
        for trait in model.traits if self._gateway.endpoint.style == "plain" else ():
            if self._plan.is_placed(trait.key) or write_judge_prompt(model, trait, "", 0) is None:
                continue
            seeds = list_calibration_examples(model, trait.key)
            if not seeds:
                aucs[trait.key] = ASSUMED_AUC
                continue
            progress.report(CallsPlanned(len(seeds), judges=True))
            odds = await gather_or_cancel(map(self._judge_seed, seeds))
            judged = [
                (value, item.pole == "positive") for value, item in zip(odds, seeds, strict=True) if value is not None
            ]
            auc = rank_auc([value for value, _ in judged], [positive for _, positive in judged])
            aucs[trait.key] = 0.5 if auc is None else round(auc, 4)
        return aucs

    async def judge(self, exemplars: Sequence[Exemplar], traits: Collection[str]) -> list[Exemplar]:
        """Return the exemplars in order; accepted exemplars of ``traits`` get the judge's odds.

        If the judge fails for good on an exemplar, it is rejected as ``cell_failed``.
        """
        return await gather_or_cancel(self._judge(item, traits) for item in exemplars)

    async def _judge(self, exemplar: Exemplar, traits: Collection[str]) -> Exemplar:
        text, cell = exemplar.text, exemplar.cell_id
        if exemplar.trait not in traits or not exemplar.is_accepted or text is None or exemplar.odds is not None:
            return exemplar
        with log_context(trait=exemplar.trait, cell=cell, round=exemplar.round_no):
            try:
                odds = await self._ask_odds(self._plan.model, exemplar.trait, text, f"judge/{cell}")
            except (RetryableProviderError, RequestRefusedError) as error:
                LOGGER.warning("The judge did not answer on %s: %s", cell, error, extra={"reason": "cell_failed"})
                return replace(exemplar, reason="cell_failed", detail=f"the judge did not answer: {error}")
        return replace(exemplar, odds=odds)

    async def _judge_seed(self, item: Seed) -> float | None:
        """Return the odds of a seed, judged by all other seeds; None if its pole has no other or the call fails."""
        model, label = self._plan.model, f"audition/{item.trait}/{item.sha256}"
        seeds, reviewed = (
            tuple(other for other in examples if other.text != item.text)
            for examples in (model.seeds, model.existing.reviewed)
        )
        existing = replace(model.existing, reviewed=reviewed)
        with suppress(RetryableProviderError, RequestRefusedError):
            return await self._ask_odds(replace(model, seeds=seeds, existing=existing), item.trait, item.text, label)
        return None

    async def _ask_odds(self, model: Model, trait: str, text: str, label: str) -> float | None:
        """Return the odds of a text; None if a pole has no text to show. The reply is stored under the label too."""
        request = make_judge_request(model, trait, text, self._plan.seed)
        if request is None:
            return None
        async with self._slots:
            reply = await self._gateway.complete(replace(request, label=label))
        return read_odds(reply.odds or {})


def list_calibration_examples(model: Model, trait: str) -> list[Seed]:
    """List the seeds for measuring the judge's AUC: the first ``MAX_CALIBRATION_EXAMPLES`` of each pole.

    There are none if both poles have as many seeds as the judge can be shown.
    """
    seeds = [model.examples_at(trait, pole) for pole in POLES]
    is_measured = any(len(examples) < JUDGE_SHOTS_PER_POLE for examples in seeds)
    return [item for examples in seeds for item in examples[:MAX_CALIBRATION_EXAMPLES]] if is_measured else []


def make_judge_request(model: Model, trait: str, text: str, seed: int) -> Request | None:
    """Return the request for the odds of a text; None if a pole has no text to show."""
    prompt = write_judge_prompt(model, model.trait(trait), text, seed)
    if prompt is None:
        return None
    return Request(prompt, max_tokens=1, temperature=0.0, logprobs=TOP_TOKENS, judges=True)


def read_odds(tokens: dict[str, float]) -> float:
    """Return the log odds of the positive verdict, computed from the log probabilities of the likeliest tokens."""
    likeliest: dict[str, float] = {}
    for token, probability in tokens.items():
        word = token.strip().lower()
        likeliest[word] = max(probability, likeliest.get(word, FLOOR))
    return likeliest.get(VERDICTS["positive"], FLOOR) - likeliest.get(VERDICTS["negative"], FLOOR)
