"""Writes a vote as questions to a decision model, and reads how sure its answer is."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from engine.asking.prompts import name_neither, write_vote_prompt
from engine.asking.reply_json import UnreadableError, find_objects
from engine.domain.model import POLES, Model, Pole, Trait
from engine.llm.client.request import Reply
from engine.screening.sense import SENSE, name_question


def write_decision(model: Model, trait: Trait, first: Pole, asks_sense: bool) -> tuple[Mapping[str, object], ...]:
    """The questions of a vote: a choice of the poles' labels or neither, then what is answered by yes or no.

    They are cut out of the prompt of a vote, so that both kinds of judges are asked in the same words.
    """
    prompt = write_vote_prompt(replace(model, questions=()), trait, "", first, asks_sense=True)
    labels = [trait.label(pole) for pole in (first, *(pole for pole in POLES if pole != first))]
    neither = name_neither(labels)
    above, _, rule = prompt.user.rpartition("\n\nThe text, between")[0].rpartition("\n\n")
    question, _, described = above.rpartition(f'\n\n- "{labels[0]}"')
    one, _, other = described.partition(f'\n- "{labels[1]}"')
    meanings = (one.removeprefix(": "), other.removeprefix(": "), rule.rpartition(f'"{neither}" where ')[2])
    choices = [
        {"value": value, **({"description": meaning} if meaning else {})}
        for value, meaning in zip((*labels, neither), meanings, strict=True)
    ]
    instructions = f"{prompt.system}\n\n{question}\n\n{rule}"
    yes_no = [(SENSE, prompt.user.splitlines()[-1].partition(" Say so")[0])] if asks_sense else []
    yes_no += [(name_question(number), asked.ask) for number, asked in enumerate(model.questions, start=1)]
    return (
        {"type": "choice", "name": "answer", "instructions": instructions, "choices": choices},
        *({"type": "predicate", "name": name, "instructions": asked} for name, asked in yes_no),
    )


def read_probability(reply: Reply) -> float | None:
    """Reads the probability of the answer that a decision model has chosen; None where it is not told."""
    with suppress(UnreadableError):
        told = find_objects(reply.text)[-1].get("probability")
        return told if isinstance(told, float) else None
    return None
