"""Where a text comes from, whole: from the row of a sample back to its prompt, its seeds, and who decided on it."""

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
from engine.listing.locations import SampleLocation, Standing, find_locations, list_corrected
from engine.listing.samples import walk_seeds
from engine.llm.client.request import Prompt
from engine.llm.replies.admin import list_answers
from engine.report.wording import EXPLANATIONS
from engine.settings import DatabaseUrl, Settings
from engine.store.index.rows import read_matching
from engine.store.layout import DEFINITION, PROMPTS
from engine.store.proposals import list_all, read_decisions, read_reviewed
from engine.store.sample_set import ATTACHED_NS
from engine.store.store import StoredSet, explain_damage, read_document

NO_PROMPT = "its set does not keep the prompt"
NO_REPLY = "no reply with this text is kept: replies are no part of the set"
BY_PERSON = "no reply has this text: a person wrote it, in the place of the one that answered the prompt"
SET_FACTS = ("run_id", "status", "pool", "synth_type", "effort", "plan_id", "created_at", "versions")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a sample or its set: when (ISO 8601, UTC), by whom (a person, key or run), and why, if known."""

    when: str
    what: str
    who: str = ""
    why: str = ""


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


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a sample comes from.

    Args:
        standing: what it is now, with ``where`` its file; ``also`` are the same of other places that have it.
        row: its columns, as the store has them; of an author's own those that it has.
        trait: its trait's name, and ``pole`` the name of the pole that it stands at.
        why: why it stands, or does not.
        created_in: its set, by the facts of ``SET_FACTS``; empty for an author's own.
        events: what happened to it, in order, reviewers' decisions among it.
        prompt: None where no run has made it.
        seeds: the author's texts that its prompt shows, and those that a person had accepted. Of a variation the first
            is what it varies, without its text where its place has that no more.
        replaces: the id of the text in whose place a person wrote it; None for any other.
    """

    handle: str
    standing: Standing
    where: str
    row: Mapping[str, Any]
    trait: str
    pole: str
    why: str
    created_in: Mapping[str, Any]
    events: tuple[Event, ...] = ()
    prompt: AskedPrompt | None = None
    seeds: tuple[Seed, ...] = ()
    also: tuple[tuple[Standing, str], ...] = ()
    replaces: int | None = None


def trace_sample(
    settings: Settings, number: int, handle: str | None, run_id: str | None, key_names: Mapping[str, str]
) -> Lineage:
    """Where the sample of that id comes from. No model is asked, and nothing is written.

    Args:
        handle: the model, and ``run_id`` the run, that is meant; None: any.
        key_names: what the keys of the HTTP API are called, by their ids.

    Raises:
        InputError: there is no such sample, set or model. StoreError: what may have it cannot be read.
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
    told = (item for name in ("seeds", "reviewed") for item in kept.get(name, ()) if prompt and item["trait"] == trait)
    own = {item["sha256"]: item for item in told}
    texts = _read_texts(models_uri, samples_uri, outline, own) if own and outline else {}
    events = _list_events(stored, number, trait, key_names) if stored else ()
    return Lineage(
        handle=place.handle,
        standing=place.standing,
        where=place.where,
        row=row,
        trait=named.name if named else trait,
        pole=named.label(pole) if named and pole else pole or "",
        why=_explain(place, number, replaces),
        created_in={name: stored.manifest[name] for name in SET_FACTS} if stored else {},
        events=tuple(events),
        prompt=prompt,
        seeds=tuple(_list_shown(own, texts, row.get("seed_sha256"), prompt)) if prompt else (),
        also=tuple((other.standing, other.where) for other in others),
        replaces=replaces,
    )


def _find_request(
    place: DatabaseUrl, stored: StoredSet, row: Mapping[str, Any], is_persons: bool = False
) -> AskedPrompt:
    """The prompt of a sample that a run has made; of one whose text is a person's, that of the text before.

    Raises:
        StoreError: the prompts of its set cannot be read.
    """
    sha256, text = str(row["prompt_sha256"]), row["text"] or ""
    answers = list_answers(place, stored.manifest["plan_id"]) if text and not is_persons else []
    reply = next((answer for answer in answers if _stands_in(text, answer)), None)
    messages: tuple[tuple[str, str], ...] = ()
    for kept in read_matching(stored, PROMPTS, "prompt_sha256", [sha256]):
        messages = Prompt(kept["user"], kept["system"], tuple(map(tuple, json.loads(kept["turns"])))).messages
    missing = [*([] if messages else [NO_PROMPT]), *([BY_PERSON if is_persons else NO_REPLY] if reply is None else [])]
    return AskedPrompt(sha256, messages, reply, "; ".join(missing))


def _stands_in(text: str, said: str) -> bool:
    """Whether a text stands in a message: in JSON, or as prose, whatever its line breaks."""
    return json.dumps(text, ensure_ascii=False)[1:-1] in said or " ".join(text.split()) in " ".join(said.split())


def _read_definition(stored: StoredSet) -> Mapping[str, Any]:
    with explain_damage(stored, DEFINITION):
        return read_document(stored, DEFINITION)


def _find_outline(models_uri: str, handle: str, kept: Mapping[str, Any]) -> Outline | None:
    """The definition that a set keeps, or the model's of now; None where it cannot be read any more."""
    with suppress(InputError, StoreError):
        return load_outline(models_uri, handle, kept.get("model_yaml"))
    return None


def _read_texts(models_uri: str, samples_uri: str, outline: Outline, wanted: Collection[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    with suppress(InputError, StoreError):
        texts.update((seed.sha256, seed.text) for *_, seed in walk_seeds(models_uri, outline) if seed.sha256 in wanted)
    if len(texts) < len(wanted):
        with suppress(StoreError):
            texts.update((seed.sha256, seed.text) for seed in read_reviewed(list_all(samples_uri, outline.handle)))
    return texts


def _list_shown(
    own: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str], varied: str | None, prompt: AskedPrompt
) -> Iterator[Seed]:
    """Yields the texts of a definition that a prompt shows, first the one that it asks to vary.

    Args:
        own: what the definition says of each, by its digest.
    """
    for sha256, item in sorted(own.items(), key=lambda pair: pair[0] != varied):
        text, place = texts.get(sha256, ""), item["place"]
        if text and (sha256 == varied or any(_stands_in(text, message) for _, message in prompt.messages)):
            yield Seed(item["trait"], text, item["quality"], place)
        elif sha256 == varied:
            yield Seed(item["trait"], "", item["quality"], f"{place}, changed since (SHA-256 {sha256})")


def _explain(place: SampleLocation, number: int, replaces: int | None) -> str:
    row = place.row
    if place.standing == "authored":
        return "its author wrote it, or it was added as a sample: no run has made it"
    if place.standing == "rejected":
        found = f" It was found: {row['detail']}" if row["detail"] else ""
        return f"{row['reason']}: {EXPLANATIONS[row['reason']]}{found}"
    if place.standing == "replaced" and place.stored:
        new = next(new for new, was in list_corrected(place.stored).items() if was == number)
        return f"it was proposed, and a person wrote another text in its place, sample {new}"
    if place.standing == "left out" and place.stored:
        is_left_out = number in place.stored.manifest.get("review", {}).get("left_out", ())
        return f"it was proposed, and {'a person left it out' if is_left_out else 'its set was not attached'}"
    if replaces is not None:
        return f"a person wrote it in a review, in the place of sample {replaces}; the gate passed its set"
    came = f"it came in round {row['attempt']}, " if "attempt" in row else "it "
    return f"{came}broke no rule and was chosen; the gate passed its set"


def _list_events(stored: StoredSet, number: int, trait: str, key_names: Mapping[str, str]) -> Iterator[Event]:
    manifest, run = stored.manifest, f"run {stored.run_id}"
    yield Event(manifest["created_at"], "asked for", run)
    decisions = [asdict(decision) for decision in read_decisions(stored)]
    # A decision that has a text puts it in the place of the sample's own, by which it gets another id.
    became = (item["sample_id"] for item in decisions if make_id(stored.handle, trait, item.get("text", "")) == number)
    own = {number, *became}
    for decision in decisions:
        if decision["sample_id"] in own:
            who = key_names.get(decision["key"], decision["key"])
            # Beyond its word, such as the text that it puts in place of another.
            more = {name: value for name, value in decision.items() if name not in ("said", "key", "at")}
            said = ", ".join(f"{name} {value}" for name, value in more.items() if value not in (None, "", number))
            yield Event(decision["at"], f"reviewed: {decision['said']}", who, said)
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
