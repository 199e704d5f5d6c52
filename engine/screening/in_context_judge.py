"""The embedded model's own judge: shown the seeds in mixed order, it gives the odds of the two verdicts for a text.

Measured beside other forms of it in docs/decisions/004-judging-and-pairs.md.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from engine.domain.model import POLES, Model, Seed
from engine.domain.progress import CallsPlanned, Progress
from engine.domain.samples import Exemplar
from engine.errors import RequestRefusedError, RetryableProviderError
from engine.gateway.model_gateway import ModelGateway
from engine.generation.prompts import JUDGE_SHOTS_PER_POLE, VERDICTS, write_judge_prompt
from engine.llm.request import Request
from engine.quality.separation import rank_auc
from engine.system.log_context import log_context
from engine.system.task_groups import gather_or_cancel

LOGGER = logging.getLogger("exemplars.judge")
TOP_TOKENS = 60
# The log probability of a verdict that is not among the likeliest tokens.
FLOOR = -12.0
# The shots are the same for all texts, and each of the server's slots reads them once: 60 texts took 9.5 s two at a
# time and 21.9 s eight at a time.
MAX_IN_FLIGHT = 2
# A judge that tells unseen seeds apart worse than this is not asked: of four traits of twelve seeds each it reached
# .00 to .97, by the trait and by the order of the seeds (docs/decisions/009-samples-that-teach.md).
MIN_AUC = 0.6
# With ten seeds a pole it reached .92 and 1.00 (docs/decisions/004), and the order hardly mattered; to hear it on each
# of twenty seeds would take as long as judging a hundred texts, since no two of those prompts begin alike for long.
ASSUMED_AUC = 0.9


async def measure_judge_aucs(model: Model, gateway: ModelGateway, seed: int, progress: Progress) -> dict[str, float]:
    """What the judge's word is worth, by trait: its AUC on seeds that it was not shown, each judged by the others.

    With as many seeds as it can be shown it has no audition: it is taken at ``ASSUMED_AUC``. A trait is left out where
    nobody can judge: without seeds of both poles, or by a model that tells no odds.

    Raises:
        ProviderError, BudgetError, StoreError: as ``ModelGateway.complete``.
    """
    slots = asyncio.Semaphore(MAX_IN_FLIGHT)
    aucs = {}
    for trait in model.traits:
        if not can_judge(model, trait.key, gateway):
            continue
        seeds = [item for pole in POLES for item in model.seeds_at(trait.key, pole)]
        if not is_auc_measured(model, trait.key):
            aucs[trait.key] = ASSUMED_AUC
            continue
        progress.report(CallsPlanned(len(seeds)))
        odds = await gather_or_cancel(_judge_seed(model, item, gateway, seed, slots) for item in seeds)
        heard = [(value, item.pole == "positive") for value, item in zip(odds, seeds, strict=True) if value is not None]
        auc = rank_auc([value for value, _ in heard], [positive for _, positive in heard])
        aucs[trait.key] = 0.5 if auc is None else round(auc, 4)
    return aucs


async def judge_accepted(
    model: Model, exemplars: Sequence[Exemplar], gateway: ModelGateway, seed: int, traits: Collection[str]
) -> list[Exemplar]:
    """The exemplars, those of ``traits`` that stand with their odds.

    Raises:
        ProviderError, BudgetError, StoreError: as ``ModelGateway.complete``.
    """
    slots = asyncio.Semaphore(MAX_IN_FLIGHT)
    return await gather_or_cancel(
        _judge(model, exemplar, gateway, seed, slots, exemplar.trait in traits) for exemplar in exemplars
    )


def is_auc_measured(model: Model, trait: str) -> bool:
    """Whether the judge has an audition for a trait: where its seeds are fewer than it could be shown."""
    return any(len(model.seeds_at(trait, pole)) < JUDGE_SHOTS_PER_POLE for pole in POLES)


def can_judge(model: Model, trait: str, gateway: ModelGateway) -> bool:
    """Whether there is a judge for a trait: an endpoint that tells odds, and seeds of both poles."""
    return gateway.endpoint.style == "plain" and write_judge_prompt(model, model.trait(trait), "", 0) is not None


def make_judge_request(model: Model, trait: str, text: str, seed: int) -> Request | None:
    """The request for the odds of a text; None where a pole has no authored texts to learn from."""
    prompt = write_judge_prompt(model, model.trait(trait), text, seed)
    if prompt is None:
        return None
    return Request(prompt, max_tokens=1, temperature=0.0, logprobs=TOP_TOKENS)


async def _judge_seed(
    model: Model, item: Seed, gateway: ModelGateway, seed: int, slots: asyncio.Semaphore
) -> float | None:
    """The odds of a seed by the others; None where its pole has no other, or the call fails for good."""
    others = replace(model, seeds=tuple(other for other in model.seeds if other.sha256 != item.sha256))
    request = make_judge_request(others, item.trait, item.text, seed)
    if request is None:
        return None
    try:
        return await _ask_odds(replace(request, label=f"audition/{item.trait}/{item.sha256}"), gateway, slots)
    except (RetryableProviderError, RequestRefusedError):
        return None


async def _judge(
    model: Model, exemplar: Exemplar, gateway: ModelGateway, seed: int, slots: asyncio.Semaphore, trusted: bool
) -> Exemplar:
    if not trusted or not exemplar.is_accepted or exemplar.text is None or exemplar.odds is not None:
        return exemplar
    request = make_judge_request(model, exemplar.trait, exemplar.text, seed)
    if request is None:
        return exemplar
    try:
        with log_context(trait=exemplar.trait, cell=exemplar.cell_id, round=exemplar.round_no):
            odds = await _ask_odds(replace(request, label=f"judge/{exemplar.cell_id}"), gateway, slots)
    except (RetryableProviderError, RequestRefusedError) as error:
        told = {"reason": "cell_failed", "trait": exemplar.trait, "cell": exemplar.cell_id}
        LOGGER.warning("The judge did not answer on %s: %s", exemplar.cell_id, error, extra=told)
        return replace(exemplar, reason="cell_failed", detail=f"the judge did not answer: {error}")
    return replace(exemplar, odds=odds)


async def _ask_odds(request: Request, gateway: ModelGateway, slots: asyncio.Semaphore) -> float:
    async with slots:
        reply = await gateway.complete(request)
    return read_odds(reply.odds or {})


def read_odds(tokens: dict[str, float]) -> float:
    """Log odds of the positive verdict from the log probabilities of the likeliest tokens."""
    likeliest: dict[str, float] = {}
    for token, probability in tokens.items():
        word = token.strip().lower()
        likeliest[word] = max(probability, likeliest.get(word, FLOOR))
    return likeliest.get(VERDICTS["positive"], FLOOR) - likeliest.get(VERDICTS["negative"], FLOOR)
