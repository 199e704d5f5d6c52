"""The prompt that a text answers: as it was sent, where it is kept with its reply, or else made again and compared."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.asking.cells import make_chat_request, make_plain_request
from engine.asking.plan import Cell, Plan, make_cell, make_variation
from engine.asking.prompts import prompts_version
from engine.asking.scenarios import ScenarioPool, choose_lengths
from engine.definitions.effort import Level
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import Scenario
from engine.errors import StoreError
from engine.llm.client.request import Prompt, Reply
from engine.llm.replies.admin import find_prompts
from engine.settings import RepliesPlace
from engine.store.store import StoredSet
from engine.text.language import decide_language

SENT = "as it was sent, kept with its reply"
MADE = "made again from the definition that its set keeps, and the same by its SHA-256; the reply is not kept any more"


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """What the synth model was asked, as roles and messages, and its reply.

    Args:
        known: ``sent`` as it was sent, ``made again`` with the digest of the row, or ``lost``: of another version.
        said: the same as a sentence.
        reply: the model's whole answer; None where it is not kept.
    """

    known: Literal["sent", "made again", "lost"]
    said: str
    sha256: str
    messages: tuple[tuple[str, str], ...] = ()
    reply: str | None = None


def find_prompt(
    place: RepliesPlace, stored: StoredSet, row: Mapping[str, Any], model: Model | None, why_not: str = ""
) -> AskedPrompt:
    """The prompt of a sample that a run has made.

    Args:
        model: as it was for the run; None where that cannot be told, for which ``why_not`` is the reason.
    """
    sha256, unreadable = str(row["prompt_sha256"]), ""
    try:
        sent = find_prompts(place, stored.manifest["plan_id"], sha256)
    except StoreError as error:
        sent, unreadable = [], f"{error}. "
    if sent:
        prompt, reply = next((pair for pair in sent if _has_text(pair[1], row["text"] or "")), sent[0])
        return AskedPrompt("sent", SENT, sha256, prompt.messages, reply.text)
    if model is not None and (made := _make_again(stored.manifest, row, model)):
        return AskedPrompt("made again", f"{unreadable}{MADE}", sha256, made.messages)
    if stored.manifest["versions"].get("prompts") != prompts_version(bool(model and model.texts.files)):
        why_not = "the words of the prompts have changed since"
    elif row["attempt"] > 1:
        why_not = f"a prompt of round {row['attempt']} builds on replies of the rounds before it"
    said = f"not kept any more, and what can be made again is another version: {why_not or 'its samples have changed'}"
    return AskedPrompt("lost", f"{unreadable}{said}", sha256)


def _has_text(reply: Reply, text: str) -> bool:
    """Whether a text came in a reply, whose own form is JSON, or prose that was cut."""
    return json.dumps(text, ensure_ascii=False)[1:-1] in reply.text or text in " ".join(reply.text.split())


def _make_again(manifest: Mapping[str, Any], row: Mapping[str, Any], model: Model) -> Prompt | None:
    """The prompt with the digest of the row, by all cells that may have asked it; None if there is none."""
    lengths, _ = choose_lengths(model, load_packs(SCENARIOS_FOLDER))
    pool = ScenarioPool("", (), (), (), lengths)
    try:
        level, seed = Level(**manifest["inputs"]["level"]), manifest["inputs"]["seed"]
        plan = Plan(manifest["plan_id"], model, manifest["synth_type"], level, pool, seed, decide_language(model))
        for cell in _list_cells(plan, row):
            for request in (make_plain_request(plan, cell), make_chat_request(plan, cell)):
                for prompt in filter(None, (request.prompt, request.in_words)):
                    if prompt.sha256 == row["prompt_sha256"]:
                        return prompt
    except (KeyError, TypeError):
        # A trait, a length or a field of the dial that there is no more.
        return None
    return None


def _list_cells(plan: Plan, row: Mapping[str, Any]) -> Iterator[Cell]:
    """Yields every cell of a row's scenario that has another prompt; a person may have moved it to the other pole."""
    trait, scenario = plan.model.trait(row["trait"]), Scenario(**json.loads(row["scenario"]))
    seeds = [seed for seed in plan.model.seeds if (seed.trait, seed.sha256) == (trait.key, row["seed_sha256"])]
    own: Pole = row["pole"]
    # Shots come from two sets in turn, failure modes in turn, and near misses are every other of each.
    turns = range(2 * max(1, len(plan.model.brief.failure_modes)))
    for pole, index in itertools.product(sorted(POLES, key=lambda pole: pole != own), turns):
        cell = make_cell(plan, trait, pole, scenario, index, row["attempt"], 0)
        if seeds:
            yield make_variation(cell, seeds[0])
            continue
        yield cell
        if cell.near_miss:
            yield replace(cell, near_miss=False)
