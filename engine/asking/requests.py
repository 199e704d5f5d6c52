"""Requests: a cell, or the question for subjects, becomes what is sent to the synth model."""

import zlib
from collections.abc import Mapping

from engine.asking.plan import Cell, Plan
from engine.asking.prompts import (
    make_proposal_schema,
    make_text_schema,
    write_chat_prompt,
    write_plain_prompt,
    write_subjects_prompt,
    write_words_only,
)
from engine.asking.scenarios import list_proposable
from engine.definitions.effort import Thinking
from engine.llm.client.request import Request
from engine.settings import Style

# Two tokens a word is generous for English; the rest is room for JSON and for thinking out of turn.
TOKENS_PER_WORD = 2
CHAT_EXTRA_TOKENS = 400
PLAIN_MAX_TOKENS = 80
# A small model at temperature .8 drifts; measured: .6 with min-p .1 gives more texts that hang together.
PLAIN_TEMPERATURE = 0.6
# Without a penalty on repeats a third of the texts went in circles (of 128: 39 unreadable, with it 2), and 14 of 32
# subjects gave a pair that the judge told apart, with it 28. docs/decisions/002-subjects.md.
# DRY makes a long run of words from the prompt unlikely: of the 0.5B's texts 38 of 64 copied an authored one, with it 5
# (docs/decisions/002-subjects.md).
PLAIN_SAMPLER = {"min_p": 0.1, "top_p": 0.95, "repeat_penalty": 1.1, "repeat_last_n": 64} | {
    "dry_multiplier": 0.8,
    "dry_base": 1.75,
    "dry_allowed_length": 4,
    "dry_penalty_last_n": 2048,
}
# A pack has as many audiences and forms, or a few more.
PROPOSED: Mapping[str, int] = {"subjects": 60, "audiences": 8, "forms": 6}
# Room for a proposed phrase and the JSON around it.
PHRASE_TOKENS = 16


def make_request(plan: Plan, cell: Cell, style: Style, language: str, thinking: Thinking = "none") -> Request:
    """The request for a cell, in the prompt style of the model that is asked."""
    return make_plain_request(plan, cell) if style == "plain" else make_chat_request(plan, cell, language, thinking)


def make_subjects_request(plan: Plan) -> Request:
    """The request to a chat model for subjects, audiences and forms, with the schema of its reply."""
    counts = {part: PROPOSED[part] for part in list_proposable(plan.model)}
    prompt = write_subjects_prompt(plan.model, counts, plan.language.name)
    schema = make_proposal_schema(counts)
    return Request(
        prompt,
        sum(counts.values()) * PHRASE_TOKENS + CHAT_EXTRA_TOKENS,
        plan.level.temperature,
        schema,
        in_words=write_words_only(prompt, schema),
        label="subjects",
    )


def make_chat_request(plan: Plan, cell: Cell, language: str, thinking: Thinking = "none") -> Request:
    """The request to a chat model for a cell, with the schema of its reply."""
    tokens = plan.length(cell).max_words * TOKENS_PER_WORD * plan.level.exemplars_per_call + CHAT_EXTRA_TOKENS
    prompt, schema = write_chat_prompt(plan, cell, language), make_text_schema(plan.level.exemplars_per_call)
    return Request(
        prompt,
        tokens,
        plan.level.temperature,
        schema,
        thinking=thinking,
        in_words=write_words_only(prompt, schema),
        label=cell.id,
    )


def make_plain_request(plan: Plan, cell: Cell) -> Request:
    """The request to a plain-text model for a cell: a document whose last line it completes."""
    return Request(
        prompt=write_plain_prompt(plan, cell),
        max_tokens=max(PLAIN_MAX_TOKENS, plan.length(cell).max_words * TOKENS_PER_WORD if cell.seed else 0),
        temperature=PLAIN_TEMPERATURE,
        seed=zlib.crc32(f"{plan.seed}/{cell.id}".encode()),
        stop=("\n",),
        sampler=PLAIN_SAMPLER,
        label=cell.id,
    )
