"""The prompt that a text answers, as its set keeps it, and what the model replied, as long as that is kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.llm.client.request import Prompt
from engine.llm.replies.admin import list_answers
from engine.origin.places import read_matching
from engine.settings import RepliesPlace
from engine.store.layout import PROMPTS
from engine.store.store import StoredSet

NO_PROMPT = "its set does not keep the prompt"
NO_REPLY = "no reply with this text is kept: replies are no part of the set"
BY_PERSON = "no reply has this text: a person wrote it, in the place of the one that answered the prompt"


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """What the synth model was asked, as roles and messages, and its reply.

    Args:
        messages: none where the set does not keep them.
        reply: the model's whole answer; None where it is not kept, or a person has written the text.
        said: what of it is missing, and why; empty where nothing is.
    """

    sha256: str
    messages: tuple[tuple[str, str], ...] = ()
    reply: str | None = None
    said: str = ""


def find_prompt(
    place: RepliesPlace, stored: StoredSet, row: Mapping[str, Any], is_persons: bool = False
) -> AskedPrompt:
    """The prompt of a sample that a run has made; of one whose text is a person's, that of the text before.

    Raises:
        StoreError: the prompts of its set cannot be read.
    """
    sha256, text = str(row["prompt_sha256"]), row["text"] or ""
    answers = list_answers(place, stored.manifest["plan_id"]) if text and not is_persons else []
    reply = next((answer for answer in answers if stands_in(text, answer)), None)
    messages: tuple[tuple[str, str], ...] = ()
    for kept in read_matching(stored, PROMPTS, "prompt_sha256", sha256):
        messages = Prompt(kept["user"], kept["system"], tuple(map(tuple, json.loads(kept["turns"])))).messages
    missing = [*([] if messages else [NO_PROMPT]), *([BY_PERSON if is_persons else NO_REPLY] if reply is None else [])]
    return AskedPrompt(sha256, messages, reply, "; ".join(missing))


def stands_in(text: str, said: str) -> bool:
    """Whether a text stands in a message: in JSON, or as prose, whatever its line breaks."""
    return json.dumps(text, ensure_ascii=False)[1:-1] in said or " ".join(text.split()) in " ".join(said.split())
