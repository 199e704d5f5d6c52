"""Send the request of each cell, and turn its reply into exemplars, or into the reason why there are none."""

import logging
import zlib
from collections.abc import Mapping
from dataclasses import replace

import regex

from engine.asking.plan import Cell, Plan
from engine.asking.prompts import (
    make_proposal_schema,
    make_text_schema,
    write_chat_prompt,
    write_plain_prompt,
    write_subjects_prompt,
    write_words_only,
)
from engine.asking.reply_json import UnreadableError, find_objects, read_texts
from engine.asking.scenarios import NO_PROPOSAL, Proposal, list_proposable
from engine.definitions.effort import Thinking
from engine.domain.model import Model
from engine.domain.samples import Exemplar, Reason
from engine.errors import RequestRefusedError, RetryableProviderError
from engine.llm.client.prices import add_costs
from engine.llm.client.request import REFUSED, Endpoint, Prompt, Reply, Request
from engine.llm.gateway.model_gateway import ModelGateway
from engine.settings import Style
from engine.system.concurrency import log_context
from engine.text.words import count_words, ends_sentence

LOGGER = logging.getLogger("exemplars.cells")
# Two tokens per word is generous for English. The extra tokens are for JSON and for unrequested thinking.
TOKENS_PER_WORD = 2
CHAT_EXTRA_TOKENS = 400
PLAIN_MAX_TOKENS = 80
# A small model drifts at temperature .8. Measured: .6 with min-p .1 gives more coherent texts.
PLAIN_TEMPERATURE = 0.6
# Without a penalty on repeats, a third of the texts repeated themselves: 39 of 128 were unreadable, 2 with the penalty.
# The judge separated the pairs of 14 of 32 subjects without it, and of 28 with it (docs/decisions/002-subjects.md).
# DRY makes long runs of words from the prompt unlikely: without it, 38 of 64 texts of the 0.5B model copied an authored
# text; with it, 5 did (docs/decisions/002-subjects.md).
PLAIN_SAMPLER = {"min_p": 0.1, "top_p": 0.95, "repeat_penalty": 1.1, "repeat_last_n": 64} | {
    "dry_multiplier": 0.8,
    "dry_base": 1.75,
    "dry_allowed_length": 4,
    "dry_penalty_last_n": 2048,
}
# Numbers of phrases to propose. A scenario pack has as many audiences and forms, or a few more.
PROPOSED: Mapping[str, int] = {"subjects": 60, "audiences": 8, "forms": 6}
# Maximum tokens of a proposed phrase and the JSON around it.
PHRASE_TOKENS = 16
# Maximum characters of a proposed phrase. A longer one is a sentence.
MAX_PHRASE = 80
# Maximum length of a text in the manner of the seeds, as a multiple of the seeds' mean length.
SEED_LENGTHS = 1.4
# Chinese and Japanese sentences follow one another without a space.
SENTENCE_END = regex.compile(
    r"(?<=\p{Sentence_Terminal})\s+(?=[\p{Lu}\p{Lo}\"'“(«„¿¡])|(?<=[。！？｡])(?=[^\s\p{Pe}\p{Pf}。！？｡])"
)
MALFORMED: frozenset[Reason | None] = frozenset({"truncated", "unreadable"})
TRUNCATED = "the reply was cut at its token limit"


async def generate_cell(
    plan: Plan, cell: Cell, gateway: ModelGateway, prompts: dict[str, Prompt] | None = None
) -> list[Exemplar]:
    """Return the exemplars of one cell, at least one: if the call fails for good, one with the reason ``cell_failed``.

    If a chat model's reply is unreadable, the request is sent once more.

    Args:
        prompts: receives the prompt that is sent, under the digest that the exemplars have.

    Raises:
        ProviderError: no call will succeed. A failed call raises nothing while other calls succeed.
        BudgetError, StoreError: as ``ModelGateway.complete``.
    """
    with log_context(trait=cell.trait, cell=cell.id, round=cell.round_no):
        async with gateway.budget.pending_cells:
            return await _ask(plan, cell, gateway, {} if prompts is None else prompts)


async def propose_scenarios(plan: Plan, gateway: ModelGateway) -> Proposal:
    """Return the synth model's proposal for the model's scenarios: subjects, audiences and forms, in one reply.

    The proposal is empty for a plain-text model and an unusable reply, and, without a call, if the author gave all
    parts.

    Raises:
        ProviderError, BudgetError, StoreError: as ``ModelGateway.complete``.
    """
    parts = list_proposable(plan.model)
    if gateway.endpoint.style == "plain" or not parts:
        return NO_PROPOSAL
    reply = await gateway.complete(make_subjects_request(plan))
    # Close a list that was cut after its last complete phrase. Surplus brackets do no harm.
    whole = reply.text[: reply.text.rfind('",') + 1] + "]}}}" if reply.finish == "length" else reply.text
    try:
        objects = find_objects(whole)
    except UnreadableError:
        return NO_PROPOSAL
    lists = {part: [_keep_phrases(fields.get(part)) for fields in objects] for part in parts}
    return Proposal(**{part: next(filter(None, reversed(phrases)), ()) for part, phrases in lists.items()})


def make_request(plan: Plan, cell: Cell, endpoint: Endpoint) -> Request:
    """Return the request for a cell, in the prompt style of the endpoint's model, with thinking if it supports it."""
    if endpoint.style == "plain":
        return make_plain_request(plan, cell)
    return make_chat_request(plan, cell, plan.level.thinking if endpoint.thinks else "none")


def make_subjects_request(plan: Plan) -> Request:
    """Return the request to a chat model for subjects, audiences and forms, with the schema of its reply."""
    counts = {part: PROPOSED[part] for part in list_proposable(plan.model)}
    prompt = write_subjects_prompt(plan.model, counts, plan.language.name)
    schema = make_proposal_schema(counts)
    tokens, in_words = sum(counts.values()) * PHRASE_TOKENS + CHAT_EXTRA_TOKENS, write_words_only(prompt, schema)
    return Request(prompt, tokens, plan.level.temperature, schema, in_words=in_words, label="subjects")


def make_chat_request(plan: Plan, cell: Cell, thinking: Thinking = "none") -> Request:
    """Return the request to a chat model for a cell, with the schema of its reply."""
    tokens = plan.length(cell).max_words * TOKENS_PER_WORD * plan.level.exemplars_per_call + CHAT_EXTRA_TOKENS
    prompt, schema = write_chat_prompt(plan, cell), make_text_schema(plan.level.exemplars_per_call)
    request = Request(prompt, tokens, plan.level.temperature, schema, thinking=thinking, label=cell.id)
    return replace(request, in_words=write_words_only(prompt, schema))


def make_plain_request(plan: Plan, cell: Cell) -> Request:
    """Return the request to a plain-text model for a cell: a document that ends in the line to complete."""
    return Request(
        prompt=write_plain_prompt(plan, cell),
        max_tokens=max(PLAIN_MAX_TOKENS, plan.length(cell).max_words * TOKENS_PER_WORD if cell.seed else 0),
        temperature=PLAIN_TEMPERATURE,
        seed=zlib.crc32(f"{plan.seed}/{cell.id}".encode()),
        stop=("\n",),
        sampler=PLAIN_SAMPLER,
        label=cell.id,
    )


def make_blank(cell: Cell, model: str, prompt: Prompt) -> Exemplar:
    """Return the exemplar of a cell before its reply: it has neither a text nor a reason."""
    return Exemplar(
        cell_id=cell.id,
        number=0,
        order=cell.order,
        trait=cell.trait,
        pole=cell.pole,
        scenario=cell.scenario,
        pair_id=cell.pair_id,
        text=None,
        reason=None,
        synth_model=model,
        prompt_sha256=prompt.sha256,
        round_no=cell.round_no,
        seed_sha256=cell.seed.sha256 if cell.seed else None,
    )


def read_reply(
    blank: Exemplar, reply: Reply, style: Style, count: int = 1, max_words: int | None = None
) -> list[Exemplar]:
    """Return the exemplars of a reply. An unusable reply gives one with its reason: refused, truncated or unreadable.

    Args:
        blank: an exemplar of the cell without a text.
        count: the number of texts that a chat model was asked for.
        max_words: the maximum words of a plain-text reply. It has no end of its own, so it is cut after a sentence.
    """
    blank = replace(blank, cost_usd=reply.cost_usd)
    if reply.finish == REFUSED:
        return [replace(blank, reason="refused", detail=reply.text[:200])]
    if style == "plain":
        return [_read_plain(blank, reply, max_words)]
    try:
        texts = read_texts(reply.text, count)
    except UnreadableError as error:
        if reply.finish == "length":
            return [replace(blank, text=reply.text, reason="truncated", detail=TRUNCATED)]
        reason: Reason = "truncated" if error.breaks_off else "unreadable"
        return [replace(blank, text=reply.text, reason=reason, detail=str(error))]
    share = None if reply.cost_usd is None else reply.cost_usd / len(texts)
    return [replace(blank, text=text, number=number, cost_usd=share) for number, text in enumerate(texts)]


def limit_words(model: Model, trait: str) -> int | None:
    """Return the maximum words of a text in the manner of the seeds, from their mean length; None without seeds."""
    words = [count_words(seed.text) for seed in model.seeds if seed.trait == trait]
    return round(SEED_LENGTHS * sum(words) / len(words)) if words else None


def cut_sentences(text: str, max_words: int | None) -> str:
    """Return the leading whole sentences up to ``max_words`` words, at least the first one; "" if no sentence ends."""
    whole = " ".join(text.split())
    ends = [match.start() for match in SENTENCE_END.finditer(whole)]
    if ends_sentence(whole):
        ends.append(len(whole))
    fitting = [end for end in ends if max_words is None or count_words(whole[:end]) <= max_words]
    return whole[: max([*ends[:1], *fitting], default=0)]


def _keep_phrases(value: object) -> tuple[str, ...]:
    """Return the phrases of a list, each once. Ignore other entries, and a value that is no list."""
    folded = [" ".join(item.split()) for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return tuple(dict.fromkeys(phrase for phrase in folded if 0 < len(phrase) <= MAX_PHRASE))


async def _ask(plan: Plan, cell: Cell, gateway: ModelGateway, prompts: dict[str, Prompt]) -> list[Exemplar]:
    endpoint, count = gateway.endpoint, plan.level.exemplars_per_call
    request = make_request(plan, cell, endpoint)
    blank = make_blank(cell, endpoint.name, request.prompt)
    prompts[blank.prompt_sha256] = request.prompt
    try:
        reply = await gateway.complete(request)
    except (RetryableProviderError, RequestRefusedError) as error:
        extra = {"reason": "cell_failed", "model": endpoint.name, "error": type(error).__name__}
        LOGGER.warning("No reply for %s: %s", cell.id, error, extra=extra)
        return [replace(blank, reason="cell_failed", detail=str(error))]
    exemplars = read_reply(blank, reply, endpoint.style, count, _limit_cell(plan, cell))
    if request.schema is None or MALFORMED.isdisjoint(exemplar.reason for exemplar in exemplars):
        return exemplars
    # Retry a truncated reply with twice the tokens, and an unreadable one with the schema in words.
    is_cut = reply.finish == "length"
    retry = replace(request, max_tokens=2 * request.max_tokens) if is_cut else request.without_schema()
    try:
        second = await gateway.complete(replace(retry, label=f"{cell.id}/again"))
    except (RetryableProviderError, RequestRefusedError):
        return exemplars
    blank = replace(blank, prompt_sha256=retry.prompt.sha256)
    exemplars = read_reply(blank, second, endpoint.style, count)
    share = None if reply.cost_usd is None else reply.cost_usd / len(exemplars)
    return [replace(item, cost_usd=add_costs(item.cost_usd, share)) for item in exemplars]


def _limit_cell(plan: Plan, cell: Cell) -> int | None:
    if cell.seed:
        return plan.length(cell).max_words
    if cell.hints.words:
        return cell.hints.words[1]
    return limit_words(plan.model, cell.trait) or max(length.max_words for length in plan.scenario_pool.lengths)


def _read_plain(blank: Exemplar, reply: Reply, max_words: int | None) -> Exemplar:
    """Return the exemplar of a plain-text reply, cut after a sentence: such a model writes more than its shots have."""
    whole = _unquote(" ".join(reply.text.split()))
    # A line that ends in a colon would continue with a list, so it is not whole.
    is_whole = reply.finish != "length" and not whole.endswith((":", "："))
    if is_whole and (max_words is None or count_words(whole) <= max_words):
        return replace(blank, text=whole)
    if text := cut_sentences(whole.rstrip(":："), max_words):
        return replace(blank, text=text)
    return replace(blank, text=whole, reason="truncated", detail=TRUNCATED)


def _unquote(text: str) -> str:
    inside = text[1:].removesuffix('"').removesuffix("”")
    return inside if text[:1] in ('"', "“") and not {'"', "“", "”"} & set(inside) else text
