"""What a vote says besides the pole: whether a person could have meant a text, and answers to the author's questions.

Whether a judge can tell sense from nonsense is tried first, on texts that persons have written and on the same with
their words shuffled. One that cannot is not asked for it.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from engine.asking.plan import Plan
from engine.asking.prompts import name_neither, write_vote_prompt
from engine.definitions.sources.unlabelled import draw_ordinary, list_noise_languages, read_ordinary
from engine.domain.language_tag import find_code
from engine.domain.model import OTHER_POLE, Model, Pole, Question, Trait
from engine.domain.votes import Vote
from engine.text.words import split_words

# Of each kind. A judge that answers at random is right about seven of eight once in thirty times.
TRIED, MOST_WRONG = 4, 1
MOST_SEEDS = 16
# Shuffled, fewer words may make sense by chance.
MIN_WORDS = 6
# The fields in which a vote says yes or no, and not the pole: the second with a number, from 1.
SENSE, QUESTION = "sense", "question_"
UNANSWERED = "(no vote answers it)"
YES_NO: Mapping[str, bool] = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class TrialText:
    """A text by which a judge is tried, for the question of one trait."""

    trait: str
    text: str
    makes_sense: bool


@dataclass(frozen=True, slots=True)
class JudgeCalibration:
    """How many of the texts a judge was right about.

    ``doubted`` are the traits of which it took a person's text for nonsense: of some traits one pole is nonsense.
    """

    judge: str
    right: int
    asked: int
    doubted: frozenset[str] = frozenset()

    @property
    def is_passed(self) -> bool:
        """Return whether the judge tells sense from nonsense."""
        return self.asked > 0 and self.right >= self.asked - MOST_WRONG

    def covers(self, trait: str) -> bool:
        """Return whether the judge is asked if texts of a trait make sense."""
        return self.is_passed and trait not in self.doubted

    def __str__(self) -> str:
        if not self.asked:
            return f"{self.judge} was not asked whether texts make sense: there are no texts of persons to try it on."
        said = (
            f"{self.judge} was right about {self.right} of {self.asked} texts, of which half make sense and half have "
            "their words shuffled"
        )
        if not self.is_passed:
            return f"{said}: whether the set's texts make sense it was not asked."
        left_out = ", ".join(sorted(self.doubted))
        return f"{said}." + (f" Of {left_out} it was not asked whether texts make sense." if left_out else "")


def list_trial_texts(plan: Plan) -> list[TrialText]:
    """List texts of persons and each with its words shuffled; none where there are too few in the model's language.

    They are seeds of some words, of each trait and pole in turn, and after them ordinary texts.
    """
    places = plan.model.poles
    turns = zip_longest(*(plan.model.seeds_at(*place)[:MOST_SEEDS] for place in places))
    written = [(seed.trait, seed.text) for turn in turns for seed in turn if seed]
    if (code := find_code(plan.language.tag)) in list_noise_languages():
        written += [(places[0][0], item.text) for item in draw_ordinary(read_ordinary(code), ())]
    long_enough = {text: trait for trait, text in written if len(_divide(text)[0]) >= MIN_WORDS}
    chosen = [*long_enough.items()][:TRIED]
    if len(chosen) < TRIED:
        return []
    tried = [TrialText(trait, text, makes_sense=True) for text, trait in chosen]
    for text, trait in chosen:
        words, joiner = _divide(text)
        random.Random(text).shuffle(words)
        tried.append(TrialText(trait, joiner.join(words), makes_sense=False))
    return tried


def judge_trial(judge: str, texts: Sequence[TrialText], right: Sequence[bool]) -> JudgeCalibration:
    """Judge a trial by whether the judge was right about each text."""
    doubted = {tried.trait for tried, is_right in zip(texts, right, strict=True) if tried.makes_sense and not is_right}
    return JudgeCalibration(judge, sum(right), len(right), frozenset(doubted))


def name_question(number: int) -> str:
    """Name the field in which a vote answers the question of this number, from 1."""
    return f"{QUESTION}{number}"


def read_yes_no(objects: Sequence[Mapping[str, object]], field: str) -> bool | None:
    """Read a yes or a no in the last object that has the field; None where there is neither."""
    said = next((fields[field] for fields in reversed(objects) if field in fields), None)
    return said if isinstance(said, bool) else YES_NO.get(str(said).strip(" .!").casefold())


def find_objection(
    votes: Sequence[Vote], questions: Sequence[Question]
) -> tuple[Literal["no_sense", "own_question"], str] | None:
    """Find why votes reject a text that is at its pole, and the detail; None where they do not.

    More votes have to be against it than for it. A question that no vote answers rejects it too: what the author asks
    has to be answered.
    """
    if _weigh([vote.sense for vote in votes]) < 0:
        return "no_sense", "the judge's votes say that no person would have written and meant it"
    for number, question in enumerate(questions):
        answers = [vote.answers[number][1] for vote in votes if vote.answers]
        said = [None if answer is None else answer == question.expects_yes for answer in answers]
        if all(answer is None for answer in said):
            return "own_question", f"{question.ask} {UNANSWERED}"
        if _weigh(said) < 0:
            return "own_question", question.ask
    return None


def write_decision(model: Model, trait: Trait, first: Pole, asks_sense: bool) -> tuple[Mapping[str, object], ...]:
    """The questions of a vote: a choice of the poles' labels or neither, then what is answered by yes or no.

    They are cut out of the prompt of a vote, so that both kinds of judges are asked in the same words.
    """
    prompt = write_vote_prompt(replace(model, questions=()), trait, "", first, asks_sense=True)
    labels = [trait.label(pole) for pole in (first, OTHER_POLE[first])]
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


def _weigh(said: Sequence[bool | None]) -> int:
    return sum(answer is True for answer in said) - sum(answer is False for answer in said)


def _divide(text: str) -> tuple[list[str], str]:
    """Divide a text into words, and gives what stands between them: nothing in a script without spaces."""
    words = text.split()
    return (words, " ") if len(words) >= MIN_WORDS else (list(split_words(text)), "")
