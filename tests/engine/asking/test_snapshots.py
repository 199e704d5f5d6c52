"""Every kind of prompt stands byte for byte in ``snapshots/``, so that a change of its words is seen and meant.

After a change that is meant: ``RENEW_SNAPSHOTS=1 pytest tests/engine/asking/test_snapshots.py``, then
read the difference. Where ``CI`` is set nothing is renewed.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from fakes.builders import make_cell, make_level, make_model, make_seeds, make_test_plan, make_trait

from engine.asking.cells import PROPOSED
from engine.asking.plan import Plan
from engine.asking.prompts import (
    make_text_schema,
    write_chat_prompt,
    write_judge_prompt,
    write_plain_prompt,
    write_subjects_prompt,
    write_vote_prompt,
    write_words_only,
)
from engine.domain.definition import Brief, Pole, TraitType
from engine.domain.model import POLES
from engine.llm.client.request import Prompt
from engine.text.language import Language

FOLDER = Path(__file__).parent / "snapshots"
RENEW = "RENEW_SNAPSHOTS"
MODE = "Verbs turned into nouns."
BRIEF = Brief(
    intent=("Put the notes that help at the top.",),
    domain=("Notes from workshops, sheds and small farms.",),
    exemplars_of_good=("One thing to do, and when.", "The name of the tool."),
    failure_modes=(MODE,),
    edge_cases=("A list of parts may be clear.",),
    non_goals=("Judging whether the advice is right.",),
)


def make_full_plan(trait_type: TraitType = "spectrum") -> Plan:
    trait = make_trait(
        type=trait_type,
        positive_paraphrase=("Short sentences.", "Each says who does what."),
        negative_paraphrase=("Long sentences full of nouns.",),
    )
    return make_test_plan(
        make_model(trait, seeds=make_seeds(), brief=BRIEF, description="Whether notes are understood.")
    )


def write_exemplar(trait_type: TraitType, pole: Pole, near_miss: bool = False) -> Prompt:
    mode = MODE if pole == "negative" else None
    cell = replace(make_cell(pole), failure_mode=mode, near_miss=near_miss)
    return write_chat_prompt(make_full_plan(trait_type), cell)


def write_variation(pole: Pole) -> Prompt:
    plan = make_full_plan()
    return write_chat_prompt(plan, replace(make_cell(pole), seed=plan.model.seeds_at("clarity", pole)[0]))


def write_vote(trait_type: TraitType) -> Prompt:
    model = make_full_plan(trait_type).model
    return write_vote_prompt(model, model.traits[0], "The text to judge.", "positive")


def write_judge() -> Prompt:
    model = make_full_plan().model
    prompt = write_judge_prompt(model, model.traits[0], "The text to judge.", 0)
    assert prompt is not None
    return prompt


BARE_PLAN = replace(make_test_plan(level=make_level(exemplars_per_call=3)), language=Language("de"))
KINDS: dict[str, Callable[[], Prompt]] = {
    **{
        f"exemplar-{trait_type}-{pole}": partial(write_exemplar, trait_type, pole)
        for trait_type in get_args(TraitType)
        for pole in POLES
    },
    "exemplar-topic-near-miss": partial(write_exemplar, "topic", "negative", near_miss=True),
    "exemplars-without-brief-or-seeds": lambda: write_chat_prompt(BARE_PLAN, make_cell()),
    **{f"variation-{pole}": partial(write_variation, pole) for pole in POLES},
    **{f"vote-{trait_type}": partial(write_vote, trait_type) for trait_type in get_args(TraitType)},
    **{f"plain-{pole}": partial(write_plain_prompt, make_full_plan(), make_cell(pole)) for pole in POLES},
    "plain-without-seeds": lambda: write_plain_prompt(make_test_plan(), make_cell()),
    "judge": write_judge,
    "subjects": lambda: write_subjects_prompt(make_full_plan().model, PROPOSED),
    "words-only": lambda: write_words_only(write_exemplar("spectrum", "positive"), make_text_schema(1)),
}


def render(prompt: Prompt) -> bytes:
    return "".join(f"--- {role}\n{text}\n" for role, text in prompt.messages).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_is_what_its_snapshot_says(kind: str) -> None:
    path, content = FOLDER / f"{kind}.txt", render(KINDS[kind]())
    if os.environ.get(RENEW) and not os.environ.get("CI"):
        path.write_bytes(content)

    assert path.is_file(), f"no snapshot {path.name}: {RENEW}=1 makes it"
    assert path.read_bytes() == content, f"{path.name} says something else: {RENEW}=1 renews it where that is meant"


def test_there_is_no_snapshot_of_what_is_no_more() -> None:
    assert sorted(KINDS) == sorted(path.stem for path in FOLDER.iterdir())
