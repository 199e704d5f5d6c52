"""Trace a sample back from its row to its prompt, reply, seeds and decisions: ``exemplars show``."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from engine.definitions.loader import load_outline
from engine.definitions.outline import Outline
from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.errors import InputError, StoreError
from engine.listing.locations import SampleLocation, SampleState, find_locations, list_corrected
from engine.listing.samples import walk_seeds
from engine.llm.client.request import Prompt
from engine.llm.replies.admin import list_answers
from engine.rules.rules import RULES_BY_CODE
from engine.settings import DatabaseUrl, Settings
from engine.store.index.rows import read_matching
from engine.store.layout import DEFINITION, PROMPTS
from engine.store.proposals import list_all, read_decisions, read_reviewed
from engine.store.sample_set import ATTACHED_NS
from engine.store.store import StoredSet, explain_damage, read_document

NO_PROMPT = "its set does not keep the prompt"
NO_REPLY = "no stored reply has this text: replies are not part of the set"
BY_PERSON = "no reply has this text: a person wrote it to replace the text from the reply"
SET_FACTS = ("run_id", "status", "pool", "synth_type", "effort", "plan_id", "created_at", "versions")


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a sample or its set: ``when`` (ISO 8601, UTC), ``who`` (a person, key or run), ``why`` if known."""

    when: str
    what: str
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class SentPrompt:
    """The prompt that the synth model got, as roles and messages, and its reply.

    Args:
        messages: empty if the set does not keep them.
        reply: the model's whole reply; None if it is not stored, or if a person wrote the text.
        said: the missing parts, with reasons; empty if none is missing.
    """

    sha256: str
    messages: tuple[tuple[str, str], ...] = ()
    reply: str | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The lineage of a sample.

    Args:
        standing: its state, and ``where`` its file; ``also`` lists the states and files of its other locations.
        row: its columns in the store; the known columns of an authored sample.
        trait: the name of its trait; ``pole`` is the name of its pole.
        why: the reason for which it was accepted, rejected or left out.
        created_in: the facts ``SET_FACTS`` of its set; empty for an authored sample.
        events: its events and those of its set, in order, including reviewers' decisions.
        prompt: None if no run generated the sample.
        seeds: the authored and accepted texts in its prompt, a varied text first; it is empty if its source lost it.
        replaces: the id of the text that a person replaced with this one; None for other samples.
    """

    handle: str
    standing: SampleState
    where: str
    row: Mapping[str, Any]
    trait: str
    pole: str
    why: str
    created_in: Mapping[str, Any]
    events: tuple[Event, ...] = ()
    prompt: SentPrompt | None = None
    seeds: tuple[Seed, ...] = ()
    also: tuple[tuple[SampleState, str], ...] = ()
    replaces: int | None = None


def trace_sample(
    settings: Settings, number: int, handle: str | None, run_id: str | None, key_names: Mapping[str, str]
) -> Lineage:
    """Return the lineage of the sample with this id. Calls no model and writes nothing.

    Args:
        handle: the sample's model, and ``run_id`` its run; None: any.
        key_names: the names of the HTTP API's keys, by id.

    Raises:
        InputError: there is no such sample, set or model. StoreError: a file that may have the sample cannot be read.
    """
    models_uri, samples_uri = settings.models_uri, settings.samples_uri
    place, *others = find_locations(models_uri, samples_uri, number, handle, run_id)
    stored, row = place.stored, place.row
    kept = _read_definition(stored) if stored else {}
    outline, trait, pole = _find_outline(models_uri, place.handle, kept), row.get("trait", ""), row.get("pole")
    named = next((item for item in outline.traits if item.key == trait), None) if outline else None
    replaces = list_corrected(stored).get(number) if stored else None
    is_persons = replaces is not None
    prompt = (
        _find_request(settings.replies_place, stored, row, is_persons) if stored and "prompt_sha256" in row else None
    )
    items = [item for name in ("seeds", "reviewed") for item in kept.get(name, ())]
    sources = {item["sha256"]: item for item in items if prompt and item["trait"] == trait}
    texts = _read_texts(models_uri, samples_uri, outline, sources) if sources and outline else {}
    events = _list_events(stored, number, trait, key_names) if stored else ()
    return Lineage(
        handle=place.handle,
        standing=place.state,
        where=place.where,
        row=row,
        trait=named.name if named else trait,
        pole=named.label(pole) if named and pole else pole or "",
        why=_explain(place, number, replaces),
        created_in={name: stored.manifest[name] for name in SET_FACTS} if stored else {},
        events=tuple(events),
        prompt=prompt,
        seeds=tuple(_list_shown(sources, texts, row.get("seed_sha256"), prompt)) if prompt else (),
        also=tuple((other.state, other.where) for other in others),
        replaces=replaces,
    )


def _find_request(
    place: DatabaseUrl, stored: StoredSet, row: Mapping[str, Any], is_persons: bool = False
) -> SentPrompt:
    """Return the prompt of a generated sample; for a text that a person wrote, the prompt of the replaced text.

    Raises:
        StoreError: the prompts of its set cannot be read.
    """
    sha256, text = str(row["prompt_sha256"]), row["text"] or ""
    answers = list_answers(place, stored.manifest["plan_id"]) if text and not is_persons else []
    reply = next((answer for answer in answers if _contains(answer, text)), None)
    messages: tuple[tuple[str, str], ...] = ()
    for kept in read_matching(stored, PROMPTS, "prompt_sha256", [sha256]):
        messages = Prompt(kept["user"], kept["system"], tuple(map(tuple, json.loads(kept["turns"])))).messages
    missing = [*([] if messages else [NO_PROMPT]), *([BY_PERSON if is_persons else NO_REPLY] if reply is None else [])]
    return SentPrompt(sha256, messages, reply, "; ".join(missing))


def _contains(message: str, text: str) -> bool:
    """Return whether a message contains a text, in JSON or as prose with any line breaks."""
    return json.dumps(text, ensure_ascii=False)[1:-1] in message or " ".join(text.split()) in " ".join(message.split())


def _read_definition(stored: StoredSet) -> Mapping[str, Any]:
    with explain_damage(stored, DEFINITION):
        return read_document(stored, DEFINITION)


def _find_outline(models_uri: str, handle: str, kept: Mapping[str, Any]) -> Outline | None:
    """Return the definition that a set keeps, else the model's current one; None if it can no longer be read."""
    with suppress(InputError, StoreError):
        return load_outline(models_uri, handle, kept.get("model_yaml"))
    return None


def _read_texts(models_uri: str, samples_uri: str, outline: Outline, digests: Collection[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    with suppress(InputError, StoreError):
        texts.update((seed.sha256, seed.text) for *_, seed in walk_seeds(models_uri, outline) if seed.sha256 in digests)
    if len(texts) < len(digests):
        with suppress(StoreError):
            texts.update((seed.sha256, seed.text) for seed in read_reviewed(list_all(samples_uri, outline.handle)))
    return texts


def _list_shown(
    sources: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str], varied: str | None, prompt: SentPrompt
) -> Iterator[Seed]:
    """Yield the texts of a definition that a prompt shows, by digest; first the text to vary, if there is one."""
    for sha256, item in sorted(sources.items(), key=lambda pair: pair[0] != varied):
        text, place = texts.get(sha256, ""), item["place"]
        if text and (sha256 == varied or any(_contains(message, text) for _, message in prompt.messages)):
            yield Seed(item["trait"], text, item["quality"], place)
        elif sha256 == varied:
            yield Seed(item["trait"], "", item["quality"], f"{place}, changed since (SHA-256 {sha256})")


def _explain(place: SampleLocation, number: int, replaces: int | None) -> str:
    row = place.row
    if place.state == "authored":
        return "its author wrote it, or it was added as a sample: no run generated it"
    if place.state == "rejected":
        detail = f" Detail: {row['detail']}" if row["detail"] else ""
        return f"{row['reason']}: {RULES_BY_CODE[row['reason']].explanation}{detail}"
    if place.state == "replaced" and place.stored:
        new = next(new for new, was in list_corrected(place.stored).items() if was == number)
        return f"it was proposed, and a person replaced it with another text, sample {new}"
    if place.state == "left out" and place.stored:
        is_left_out = number in place.stored.manifest.get("review", {}).get("left_out", ())
        return f"it was proposed, and {'a person left it out' if is_left_out else 'its set was not attached'}"
    if replaces is not None:
        return f"a person wrote it in a review to replace sample {replaces}; its set passed the gate"
    generated = f"it was generated in round {row['attempt']}, " if "attempt" in row else "it "
    return f"{generated}passed all rules and was chosen; its set passed the gate"


def _list_events(stored: StoredSet, number: int, trait: str, key_names: Mapping[str, str]) -> Iterator[Event]:
    manifest, run = stored.manifest, f"run {stored.run_id}"
    yield Event(manifest["created_at"], "requested", run)
    decisions = [asdict(decision) for decision in read_decisions(stored)]
    # A decision with a text replaces the sample's text, so the sample gets another id.
    old_ids = (item["sample_id"] for item in decisions if make_id(stored.handle, trait, item.get("text", "")) == number)
    ids = {number, *old_ids}
    for decision in decisions:
        if decision["sample_id"] in ids:
            who = key_names.get(decision["key"], decision["key"])
            # The other fields of the decision, such as a corrected text.
            extra = {name: value for name, value in decision.items() if name not in ("said", "key", "at")}
            why = ", ".join(f"{name} {value}" for name, value in extra.items() if value not in (None, "", number))
            yield Event(decision["at"], f"reviewed: {decision['said']}", who, why)
    review = manifest.get("review", {})
    if "when" in review:
        named = [name for name in ("left_out", "other_pole") if number in review.get(name, ())]
        what = f"set {'attached' if 'left_out' in review else 'rejected'}"
        what += "".join(f", this text {name.replace('_', ' ')}" for name in named)
        yield Event(review["when"], what, review.get("who", ""), review.get("why", ""))
    elif ATTACHED_NS in manifest:
        moment = datetime.fromtimestamp(manifest[ATTACHED_NS] / 1e9, UTC)
        yield Event(moment.isoformat(timespec="milliseconds"), "set attached", run)
    for entry in manifest.get("removals", ()):
        if entry["id"] == number:
            yield Event(entry["when"], "removed", entry.get("who", ""), entry["why"])
    if "detached" in manifest:
        yield Event(manifest["detached"]["when"], "set detached", manifest["detached"].get("who", ""))
