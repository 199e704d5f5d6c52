"""Where a text comes from, whole: from the row of a sample back to its prompt, its seeds, and who decided on it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from engine.definitions.loader import load_model
from engine.domain.model import Model, Seed
from engine.domain.samples import make_id
from engine.errors import InputError, StoreError
from engine.origin.places import Place, Standing, find_places
from engine.origin.prompts import AskedPrompt, find_prompt
from engine.report.wording import EXPLANATIONS
from engine.settings import Settings
from engine.store.layout import DEFINITION
from engine.store.proposals import list_all, read_decisions, read_reviewed
from engine.store.sample_set import ATTACHED_NS
from engine.store.store import StoredSet, read_document

SET_FACTS = ("run_id", "status", "pool", "synth_type", "effort", "plan_id", "created_at", "versions")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a sample or its set: when (ISO 8601, UTC), by whom (a person, key or run), and why, if known."""

    when: str
    what: str
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sample comes from.

    Args:
        standing: what it is now, with ``where`` its file; ``also`` are the same of other places that have it.
        row: its columns, as the store has them; of an author's own those that it has.
        trait: its trait's name, and ``pole`` the name of the pole that it stands at.
        why: why it stands, or does not.
        made_in: its set, by the facts of ``SET_FACTS``; empty for an author's own.
        events: what happened to it, in order, reviewers' decisions among it.
        prompt: None where no run has made it, or nothing but its text is known.
        varied: the author's text that it is a variation of; empty where its place has it no more.
        seeds: the author's texts that its prompt shows, and those that a person had accepted.
    """

    handle: str
    standing: Standing
    where: str
    row: Mapping[str, Any]
    trait: str
    pole: str
    why: str
    made_in: Mapping[str, Any]
    events: tuple[Event, ...] = ()
    prompt: AskedPrompt | None = None
    varied: Seed | None = None
    seeds: tuple[Seed, ...] = ()
    also: tuple[tuple[Standing, str], ...] = ()


def trace_sample(
    settings: Settings, number: int, handle: str | None, run_id: str | None, key_names: Mapping[str, str]
) -> Origin:
    """Where the sample of that id comes from. No model is asked, and nothing is written.

    Args:
        handle: the model, and ``run_id`` the run, that is meant; None: any.
        key_names: what the keys of the HTTP API are called, by their ids.

    Raises:
        InputError: there is no such sample, set or model. StoreError: what may have it cannot be read.
    """
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    place, *others = find_places(models_uri, samples_uri, number, handle, run_id)
    stored, row = place.stored, place.row
    kept = read_document(stored, DEFINITION) if stored else {}
    model, why_not = _load_as_it_was(models_uri, samples_uri, place.handle, kept)
    traits = {trait.key: trait for trait in model.traits} if model else {}
    trait, pole = traits.get(row.get("trait", "")), row.get("pole")
    origin = Origin(
        handle=place.handle,
        standing=place.standing,
        where=place.where,
        row=row,
        trait=trait.name if trait else row.get("trait", ""),
        pole=trait.label(pole) if trait and pole else pole or "",
        why=_explain(place),
        made_in={name: stored.manifest[name] for name in SET_FACTS} if stored else {},
        also=tuple((other.standing, other.where) for other in others),
    )
    if stored is None:
        return origin
    events = _list_events(stored, number, row.get("trait", ""), key_names)
    origin = replace(origin, events=tuple(sorted(events, key=lambda event: event.when)))
    if "prompt_sha256" not in row:
        return origin
    prompt = find_prompt(settings.replies_place, stored, row, model, why_not)
    return replace(
        origin,
        prompt=prompt,
        varied=_find_varied(row, model, kept) if row["seed_sha256"] else None,
        seeds=tuple(_list_shown(prompt, row["trait"], model)) if model else (),
    )


def _load_as_it_was(
    models_uri: str, samples_uri: str, handle: str, kept: Mapping[str, Any]
) -> tuple[Model | None, str]:
    """The model by the definition that a set keeps, with those of its samples that are there still.

    Where it has gone since there is None, and why.
    """
    try:
        model = load_model(models_uri, handle, kept.get("model_yaml"))
        reviewed = read_reviewed(list_all(samples_uri, handle)) if kept.get("reviewed") else ()
    except (InputError, StoreError) as error:
        return None, str(error)
    if not kept:
        return model, ""
    seeds = _keep_known(model.seeds, kept["seeds"])
    return replace(model, seeds=seeds, reviewed=_keep_known(reviewed, kept["reviewed"])), ""


def _keep_known(seeds: Sequence[Seed], known: Sequence[Mapping[str, Any]]) -> tuple[Seed, ...]:
    """The seeds that a definition names, in its order, which prompts depend on."""
    order = {(entry["trait"], entry["quality"], entry["sha256"]): number for number, entry in enumerate(known)}
    found = {order.get((seed.trait, seed.quality, seed.sha256), -1): seed for seed in seeds}
    return tuple(found[number] for number in sorted(found) if number >= 0)


def _explain(place: Place) -> str:
    row = place.row
    if place.standing == "authored":
        return "its author wrote it, or it was added as a sample: no run has made it"
    if place.standing == "rejected":
        found = f" It was found: {row['detail']}" if row["detail"] else ""
        return f"{row['reason']}: {EXPLANATIONS[row['reason']]}{found}"
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
            more = {name: value for name, value in decision.items() if name not in ("said", "key", "at")}
            yield Event(decision["at"], f"reviewed: {decision['said']}", who, _say_more(more, number))
    review = manifest.get("review", {})
    if "when" in review:
        named = [name for name in ("left_out", "other_pole") if number in review.get(name, ())]
        what = f"set {'attached' if 'left_out' in review else 'rejected'}"
        what += "".join(f", this text {name.replace('_', ' ')}" for name in named)
        yield Event(review["when"], what, review["who"], review["why"])
    elif ATTACHED_NS in manifest:
        moment = datetime.fromtimestamp(manifest[ATTACHED_NS] / 1e9, UTC)
        yield Event(moment.isoformat(timespec="milliseconds"), "set attached", run)
    for entry in manifest.get("removals", ()):
        if entry["id"] == number:
            yield Event(entry["when"], "removed", entry["who"], entry["why"])
    if "detached" in manifest:
        yield Event(manifest["detached"]["when"], "set detached", manifest["detached"]["who"])


def _say_more(fields: Mapping[str, Any], number: int) -> str:
    """What a decision says beyond its word, such as the text that it puts in place of another."""
    return ", ".join(f"{name} {value}" for name, value in fields.items() if value not in (None, "", number))


def _find_varied(row: Mapping[str, Any], model: Model | None, kept: Mapping[str, Any]) -> Seed:
    """The seed of a variation or, without its text, where it stood."""
    trait, wanted = row["trait"], row["seed_sha256"]
    for seed in model.seeds if model else ():
        if (seed.trait, seed.sha256) == (trait, wanted):
            return seed
    places = (item["place"] for item in kept.get("seeds", ()) if (item["trait"], item["sha256"]) == (trait, wanted))
    return Seed(trait, "", row["quality"], f"{next(places, 'an authored sample')}, changed since (SHA-256 {wanted})")


def _list_shown(prompt: AskedPrompt, trait: str, model: Model) -> Iterator[Seed]:
    """Yields the texts of a trait that a prompt shows, whatever form it shows them in."""
    shown = "\n".join(_read_json(text) if role == "assistant" else text for role, text in prompt.messages)
    folded = " ".join(shown.split())
    for seed in (*model.seeds, *model.reviewed):
        if seed.trait == trait and " ".join(seed.text.split()) in folded:
            yield seed


def _read_json(answer: str) -> str:
    """The texts of an answer that a prompt shows, which are an author's in the form that the model is to answer in."""
    said = json.loads(answer)
    return "\n".join(said.get("texts", [said.get("text", "")]))
