"""List the kinds of calls of a run, the number of calls of each kind, and examples of requests.

The dry run shows this list and the estimate counts it. A new kind of call is one more function here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.asking.cells import PLAIN_MAX_TOKENS, PROPOSED, make_request, make_subjects_request
from engine.asking.plan import Cell, Plan, count_scenarios, plan_round
from engine.asking.scenarios import list_proposable
from engine.domain.definition import Pole, Trait
from engine.domain.model import POLES
from engine.llm.client.request import Endpoint, Request
from engine.screening.in_context_judge import list_calibration_examples, make_judge_request
from engine.screening.sense import list_trial_texts
from engine.screening.voting_judge import make_vote_request

Value = TypeVar("Value")

# Prompts of one kind differ little, so tokens are measured on the prompts for this many exemplars.
MEASURED_EXEMPLARS = 100
# Two of 8 runs of the embedded model needed a second round; together the 8 runs had 18 % more cells than their first
# rounds. A second round for a tenth of the quota makes 20 % more.
LIKELY_SHORTFALL = 0.1
# The catalogue's English seeds have 1.16 to 1.34 tokens per word (o200k_base). The JSON around a text takes 16.
TOKENS_PER_WORD = 1.25
JSON_TOKENS = 16
# A proposed phrase has two to eight words, and the JSON around it takes two tokens.
PHRASE_TOKENS = 7
# The length of `{"answer": "neither"}`.
VOTE_REPLY_TOKENS = 8
# The length of `, "question_1": "yes"`.
YES_NO_REPLY_TOKENS = 7
# For the prompt of a vote: a text of one or two sentences.
VOTED_TEXT = (
    "Each page stays in the cache for ten minutes, and then the server builds it again when somebody asks for it."
)
# 1,179 replies of the embedded model had 38 tokens on average.
PLAIN_TOKENS = 40


@dataclass(frozen=True, slots=True)
class Spread(Generic[Value]):
    """The likely value and the upper bound of one quantity.

    ``most`` assumes that every round is needed for the whole quota, and that every reply uses all its tokens, with
    thinking.
    """

    likely: Value
    most: Value


@dataclass(frozen=True, slots=True)
class Example:
    """One request as it would be sent. ``title`` identifies it within its kind, ``note`` names placeholders in it."""

    title: str
    request: Request
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallKind:
    """The calls of one kind at one endpoint.

    ``reply_tokens`` are the tokens of one reply. Prompts are measured on ``examples``, at least one.
    """

    name: str
    endpoint: Endpoint
    calls: Spread[int]
    reply_tokens: Spread[float]
    examples: tuple[Example, ...]

    @property
    def judges(self) -> bool:
        """Return whether the calls judge texts instead of writing texts."""
        return self.examples[0].request.judges


def list_calls(plan: Plan, endpoint: Endpoint, judge: Endpoint | None = None) -> tuple[CallKind, ...]:
    """List the kinds of calls of a run, in the order of their first calls. No call is made.

    Kept replies are ignored: every call counts as if it had to be made.

    Args:
        judge: the endpoint of the chat judge; None if there are no votes.
    """
    traits = plan.model.traits
    counts = dict.fromkeys(plan.quotas, min(plan.max_quota, MEASURED_EXEMPLARS))
    cells = plan_round(plan, 1, counts, near_misses=endpoint.style != "plain")
    return (
        *_list_subject_calls(plan, endpoint),
        *(
            _make_exemplar_calls(plan, endpoint, trait, pole, cells)
            for trait in traits
            for pole in POLES
            if plan.quotas[trait.key, pole]
        ),
        *(_list_sense_calls(plan, judge) if judge else ()),
        *(_make_vote_calls(plan, judge, trait) for trait in traits if judge),
        *(kind for trait in traits for kind in _list_judge_calls(plan, endpoint, trait)),
    )


def count_cells(plan: Plan) -> Spread[int]:
    """Count the cells of one trait at one pole."""
    level = plan.level
    every = [count_scenarios(level, round_no, plan.max_quota) for round_no in range(1, level.top_up_rounds + 2)]
    second = count_scenarios(level, 2, math.ceil(LIKELY_SHORTFALL * plan.max_quota)) if level.top_up_rounds else 0
    return Spread(every[0] + second, sum(every))


def _list_subject_calls(plan: Plan, endpoint: Endpoint) -> tuple[CallKind, ...]:
    parts = list_proposable(plan.model)
    if endpoint.style == "plain" or not parts:
        return ()
    request = make_subjects_request(plan)
    likely = PHRASE_TOKENS * sum(PROPOSED[part] for part in parts)
    replies: Spread[float] = Spread(likely, request.max_tokens)
    return (CallKind("subjects", endpoint, Spread(1, 1), replies, (Example("subjects", request),)),)


def _make_exemplar_calls(plan: Plan, endpoint: Endpoint, trait: Trait, pole: Pole, planned: Sequence[Cell]) -> CallKind:
    cells = [cell for cell in planned if (cell.trait, cell.pole) == (trait.key, pole)]
    examples = tuple(
        Example(f"{cell.id}{', near miss' if cell.near_miss else ''}", make_request(plan, cell, endpoint))
        for cell in cells
    )
    plain: Spread[float] = Spread(PLAIN_TOKENS, PLAIN_MAX_TOKENS)
    replies = plain if endpoint.style == "plain" else _estimate_chat_reply(plan, cells, examples)
    name = f"exemplars: {trait.key} ({trait.type}), {pole}"
    return CallKind(name, endpoint, count_cells(plan), replies, examples)


def _estimate_chat_reply(plan: Plan, cells: Sequence[Cell], examples: Sequence[Example]) -> Spread[float]:
    """Return the tokens of a reply: likely with texts of mean length, at most the request's limit."""
    lengths = [plan.length(cell) for cell in cells]
    count, texts = len(cells), plan.level.exemplars_per_call
    mean_words = sum(length.min_words + length.max_words for length in lengths) / 2 / count
    return Spread(
        (mean_words * TOKENS_PER_WORD + JSON_TOKENS) * texts,
        sum(example.request.max_tokens for example in examples) / count,
    )


def _make_vote_calls(plan: Plan, judge: Endpoint, trait: Trait) -> CallKind:
    """Return the chat judge's votes on all exemplars: likely as many as a majority needs, at most every vote."""
    votes = plan.level.judge_votes
    cells = count_cells(plan)
    majority, texts = votes // 2 + 1, plan.level.exemplars_per_call * len(POLES)
    calls = Spread(cells.likely * texts * majority, cells.most * texts * votes)
    asks_sense = bool(list_trial_texts(plan))
    request = make_vote_request(plan, trait.key, VOTED_TEXT, "positive", asks_sense, judge.decides)
    example = Example("vote", request, "This sentence stands in for the exemplar; the poles are swapped between votes.")
    replies = _estimate_vote_reply(plan, request)
    return CallKind(f"votes: {trait.key}", judge, calls, replies, (example,))


def _list_sense_calls(plan: Plan, judge: Endpoint) -> tuple[CallKind, ...]:
    texts = list_trial_texts(plan)
    requests = [make_vote_request(plan, item.trait, item.text, "positive", True, judge.decides) for item in texts]
    examples = tuple(
        Example(f"sense, {'whole' if item.makes_sense else 'shuffled'}", request)
        for item, request in zip(texts, requests, strict=True)
    )
    if not examples:
        return ()
    calls = Spread(len(examples), len(examples))
    return (CallKind("sense", judge, calls, _estimate_vote_reply(plan, requests[0]), examples),)


def _estimate_vote_reply(plan: Plan, request: Request) -> Spread[float]:
    return Spread(VOTE_REPLY_TOKENS + YES_NO_REPLY_TOKENS * (1 + len(plan.model.questions)), request.max_tokens)


def _list_judge_calls(plan: Plan, endpoint: Endpoint, trait: Trait) -> tuple[CallKind, ...]:
    """Return the in-context judge's calls for a trait without an axis and with seeds at both poles.

    If there are few seeds, the judge is also asked about each seed, to measure its AUC.
    """
    seeds = plan.model.examples_at(trait.key, "positive")
    request = make_judge_request(plan.model, trait.key, seeds[0].text, plan.seed) if seeds else None
    if endpoint.style != "plain" or request is None or plan.is_placed(trait.key):
        return ()
    example = Example("judge", request, "An authored text stands in for the exemplar.")
    judged_seeds = len(list_calibration_examples(plan.model, trait.key))
    cells = count_cells(plan)
    calls = Spread(*(judged_seeds + count * len(POLES) for count in (cells.likely, cells.most)))
    return (CallKind(f"judge: {trait.key}", endpoint, calls, Spread(1, 1), (example,)),)
