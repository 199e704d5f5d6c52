"""Additional questions of a vote: whether a person could have meant a text, and the author's questions.

The judge is calibrated first, on texts by people and on the same texts with shuffled words. A judge that cannot
separate them is not asked whether texts make sense.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from engine.asking.plan import Plan
from engine.asking.prompts import name_neither, write_vote_prompt
from engine.definitions.sources.unlabelled import draw_ordinary, list_noise_languages, read_ordinary
from engine.domain.definition import Pole, Question, Trait
from engine.domain.language_tag import find_code
from engine.domain.model import OTHER_POLE, Model
from engine.domain.votes import Vote
from engine.text.words import split_words

# Texts of each kind, and the maximum of wrong answers. A random judge has seven of eight right once in thirty times.
TRIED, MOST_WRONG = 4, 1
MOST_SEEDS = 16
# Fewer words may make sense by chance after shuffling.
MIN_WORDS = 6
# The fields of a vote with yes or no. The second one is followed by a number, from 1.
SENSE, QUESTION = "sense", "question_"
UNANSWERED = "(no vote answers it)"
YES_NO: Mapping[str, bool] = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class TrialText:
    """A text to calibrate a judge with, for the question of one trait."""

    trait: str
    text: str
    makes_sense: bool


@dataclass(frozen=True, slots=True)
class JudgeCalibration:
    """The number of calibration texts that a judge was right about.

    ``doubted`` are the traits with a person's text that it took for nonsense: for some traits, one pole is nonsense.
    """

    judge: str
    right: int
    total: int
    doubted: frozenset[str] = frozenset()

    @property
    def is_passed(self) -> bool:
        """Return whether the judge can separate sense from nonsense."""
        return self.total > 0 and self.right >= self.total - MOST_WRONG

    def covers(self, trait: str) -> bool:
        """Return whether the judge is asked if texts of a trait make sense."""
        return self.is_passed and trait not in self.doubted

    def __str__(self) -> str:
        if not self.total:
            return f"{self.judge} was not asked whether texts make sense: there are no texts by people to test it."
        result = (
            f"{self.judge} was right about {self.right} of {self.total} texts, of which half make sense and half have "
            "their words shuffled"
        )
        if not self.is_passed:
            return f"{result}. It was not asked whether the set's texts make sense."
        names = ", ".join(sorted(self.doubted))
        return f"{result}." + (f" It was not asked whether texts of {names} make sense." if names else "")


def list_trial_texts(plan: Plan) -> list[TrialText]:
    """List texts by people, and each with shuffled words; none if there are too few texts in the model's language.

    The texts are seeds with enough words, of each trait and pole in turn, followed by ordinary texts.
    """
    places = plan.model.poles
    turns = zip_longest(*(plan.model.seeds_at(*place)[:MOST_SEEDS] for place in places))
    written = [(seed.trait, seed.text) for turn in turns for seed in turn if seed]
    if (code := find_code(plan.language.tag)) in list_noise_languages():
        written += [(places[0][0], item.text) for item in draw_ordinary(read_ordinary(code), ())]
    long_enough = {text: trait for trait, text in written if len(_split(text)[0]) >= MIN_WORDS}
    chosen = [*long_enough.items()][:TRIED]
    if len(chosen) < TRIED:
        return []
    trials = [TrialText(trait, text, makes_sense=True) for text, trait in chosen]
    for text, trait in chosen:
        words, joiner = _split(text)
        random.Random(text).shuffle(words)
        trials.append(TrialText(trait, joiner.join(words), makes_sense=False))
    return trials


def judge_trial(judge: str, texts: Sequence[TrialText], right: Sequence[bool]) -> JudgeCalibration:
    """Return the calibration of a judge, given whether it was right about each text."""
    doubted = {trial.trait for trial, is_right in zip(texts, right, strict=True) if trial.makes_sense and not is_right}
    return JudgeCalibration(judge, sum(right), len(right), frozenset(doubted))


def name_question(number: int) -> str:
    """Return the name of the field for the answer to the question with this number, from 1."""
    return f"{QUESTION}{number}"


def read_yes_no(objects: Sequence[Mapping[str, object]], field: str) -> bool | None:
    """Read yes or no from the last object that has the field; None if there is neither."""
    value = next((fields[field] for fields in reversed(objects) if field in fields), None)
    return value if isinstance(value, bool) else YES_NO.get(str(value).strip(" .!").casefold())


def find_objection(
    votes: Sequence[Vote], questions: Sequence[Question]
) -> tuple[Literal["no_sense", "own_question"], str] | None:
    """Return the reason why the votes reject a text at its pole, and the detail; None if they do not reject it.

    The text is rejected if more votes are against it than for it, or if no vote answers one of the author's questions.
    """
    if _weigh([vote.sense for vote in votes]) < 0:
        return "no_sense", "the judge's votes say that no person would have written and meant it"
    for number, question in enumerate(questions):
        answers = [vote.answers[number][1] for vote in votes if vote.answers]
        approvals = [None if answer is None else answer == YES_NO[question.expect] for answer in answers]
        if all(answer is None for answer in approvals):
            return "own_question", f"{question.ask} {UNANSWERED}"
        if _weigh(approvals) < 0:
            return "own_question", question.ask
    return None


def write_decision(model: Model, trait: Trait, first: Pole, asks_sense: bool) -> tuple[Mapping[str, object], ...]:
    """Return the questions of a vote: the choice between the poles' labels and neither, then the yes-or-no questions.

    They are parts of the prompt of a vote, so that both kinds of judges are asked in the same words.
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
    yes_no += [(name_question(number), item.ask) for number, item in enumerate(model.questions, start=1)]
    return (
        {"type": "choice", "name": "answer", "instructions": instructions, "choices": choices},
        *({"type": "predicate", "name": name, "instructions": ask} for name, ask in yes_no),
    )


def _weigh(answers: Sequence[bool | None]) -> int:
    return sum(answer is True for answer in answers) - sum(answer is False for answer in answers)


def _split(text: str) -> tuple[list[str], str]:
    """Split a text into words, and return the words and their separator: "" in a script without spaces."""
    words = text.split()
    return (words, " ") if len(words) >= MIN_WORDS else (list(split_words(text)), "")
