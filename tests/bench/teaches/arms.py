"""The arms: what is laid beside one another, all of them made from one walk's candidates or from no candidates."""

from collections.abc import Sequence

import numpy as np

from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import Exemplar
from engine.planning.plan import Plan
from engine.quality.pole_scores import list_pole_names
from engine.selection.choice import ChoiceContext, choose_exemplars
from engine.selection.review import make_choice_context
from engine.text.embedding import Embedder

Set = dict[Pole, list[str]]


def name_poles(model: Model) -> Set:
    """What the poles are called, and nothing else."""
    return {pole: list_pole_names(model.traits[0], pole) for pole in POLES}


def take_seeds(model: Model) -> Set:
    """The authored texts alone."""
    return {pole: [seed.text for seed in model.seeds_at(model.traits[0].key, pole)] for pole in POLES}


def list_parts(plan: Plan, first: Sequence[Exemplar], judged: Sequence[Exemplar], embedder: Embedder) -> dict[str, Set]:
    """Sets of one size from the first round's candidates, each by one part of the engine alone.

    Args:
        first: the first round's exemplars as the walk left them.
        judged: the same, all that stand with the judge's odds, whether it is trusted or not.
    """
    odds = {item.key: item.odds or 0.0 for item in judged if item.is_accepted}
    axis = make_choice_context(plan, first, {}, embedder, strict=True)
    spread = float(np.std(list(odds.values()))) or 1.0
    both = {name: axis.pole_scores[name] + odds.get(name, 0.0) / spread for name in axis.pole_scores}
    return {
        "unscreened": _take(first, plan.wanted, any_text=True),
        "rules": _take(first, plan.wanted),
        "best by the judge": _take_best(first, odds, plan.wanted),
        "pairs by the judge": _choose(plan, first, ChoiceContext(odds, strict=True)),
        "pairs by the axis": _choose(plan, first, ChoiceContext(axis.pole_scores, strict=True)),
        "pairs by both, as equals": _choose(plan, first, ChoiceContext(both, strict=True)),
        "pairs by the axis, spread": _choose(plan, first, axis),
        "pairs at random": _choose(plan, first, ChoiceContext({}, axis.vectors)),
    }


def take_chosen(chosen: Sequence[Exemplar]) -> Set:
    """The texts of a choice."""
    return {pole: [item.text or "" for item in chosen if item.pole == pole] for pole in POLES}


def _choose(plan: Plan, exemplars: Sequence[Exemplar], view: ChoiceContext) -> Set:
    return take_chosen(choose_exemplars(plan, exemplars, view).chosen)


def _take(exemplars: Sequence[Exemplar], count: int, any_text: bool = False) -> Set:
    kept = [item for item in exemplars if item.text and (any_text or item.is_accepted)]
    return {pole: [item.text or "" for item in kept if item.pole == pole][:count] for pole in POLES}


def _take_best(exemplars: Sequence[Exemplar], odds: dict[str, float], count: int) -> Set:
    best: Set = {}
    for pole in POLES:
        own = [item for item in exemplars if item.is_accepted and item.pole == pole]
        own.sort(key=lambda item: odds.get(item.key, 0.0), reverse=pole == "positive")
        best[pole] = [item.text or "" for item in own[:count]]
    return best
