"""Write the prompts of cells, votes and proposals, from the templates in ``templates/``."""

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import jinja2

from engine.asking.fields import name_subjects
from engine.asking.plan import Cell, Plan
from engine.asking.scenarios import PROPOSABLE
from engine.asking.seed_variations import bound_variation_length, list_usable_seeds
from engine.domain.definition import Brief, Length, Pole, Trait
from engine.domain.model import MAX_SEEDS_PER_POLE, OTHER_POLE, POLES, Model, Seed
from engine.llm.client.request import Prompt
from engine.text.language import Language
from engine.text.stylometry import measure_distance
from engine.text.words import CHARACTERS_PER_WORD, count_words, take_opening

Item = TypeVar("Item")

FOLDER = Path(__file__).parent / "templates"
UNLABELLED_TEXTS = "own_texts.jinja"
# Number of the author's own texts in a prompt, and the maximum words of each.
SHOWN_TEXTS, SHOWN_WORDS = 4, 120
CHAT_SHOTS = 4
PLAIN_SHOTS = 5
# Number of sets of shots that are shown in turn, so that no seed is in all prompts of its pole.
SHOT_SETS = 2
# After this many rounds, the prompts of a pole without authored texts show the best earlier texts.
ROUNDS_WITHOUT_SHOTS = 3
VARIATION_SHOTS = 2
VARIATION_TURNS = 2
JUDGE_SHOTS_PER_POLE = 10
VERDICTS: Mapping[Pole, str] = {"positive": "good", "negative": "bad"}

# Failure modes are left out here, because each negative cell has one of them.
BRIEF_TITLES: Mapping[str, str] = {
    "intent": "What the scores are for",
    "domain": "Where the texts come from",
    "exemplars_of_good": "What is good",
    "edge_cases": "Edge cases",
    "non_goals": "What does not count",
}

# The answer for neither pole. The second one is used if a label is equal to the first.
NEITHER = ("neither", "neither of them")


@cache
def prompts_version(with_texts: bool = False) -> str:
    """Return the version of the prompts: a digest of all their parts, so that every change is noticed.

    Args:
        with_texts: whether the model has texts without labels. Only such a model's prompts mention them.
    """
    fixed = json.dumps(
        [
            *map(make_text_schema, (1, 2)),
            make_proposal_schema(dict.fromkeys(PROPOSABLE, 1)),
            make_vote_schema(POLES),
            BRIEF_TITLES,
            VERDICTS,
        ],
        sort_keys=True,
    )
    digest = hashlib.sha256(fixed.encode())
    for path in sorted(FOLDER.glob("*.jinja")):
        if with_texts or path.name != UNLABELLED_TEXTS:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def write_chat_prompt(plan: Plan, cell: Cell) -> Prompt:
    """Return the prompt for a chat model.

    It has the text common to all cells of the trait and pole, then authored texts of the pole as turns of a
    conversation, then the scenario. So a provider's cache can hold all messages except the last.
    """
    trait, pole = plan.model.trait(cell.trait), cell.pole
    system = _write_system(plan, cell, trait)
    if cell.seed:
        user = _ask_variation(plan, trait, pole, cell.seed, cell.scenario.subject, cell.seed)
        return Prompt(user, system, _variation_turns(plan, trait, pole, cell.seed))
    if plan.model.texts.drawn:
        shown = _pick(plan.model.texts.drawn, SHOWN_TEXTS, f"{plan.seed}/texts")
        system += "\n\n" + _render(UNLABELLED_TEXTS, texts=[take_opening(text, SHOWN_WORDS) for text in shown])
    # A length's name that equals its range of words would repeat the range.
    length, named = _choose_length(plan, cell), plan.length(cell)
    user = _render(
        "scenario.jinja",
        trait=trait,
        cell=cell,
        label=trait.label(pole),
        length=length,
        length_name=None if named.name == named.words else named.name,
        characters=_give_characters(length, plan.language),
    )
    return Prompt(user, system, _write_shots(plan, cell, trait))


def write_words_only(prompt: Prompt, schema: Mapping[str, object]) -> Prompt:
    """Return the prompt with the JSON schema in words, for providers that accept no schema."""
    in_words = _render("words_only.jinja", schema=json.dumps(schema))
    return replace(prompt, user=f"{prompt.user}\n\n{in_words}")


def write_plain_prompt(plan: Plan, cell: Cell) -> Prompt:
    """Return the document for a small base model to complete: a heading, shots of the same pole, the next topic.

    A few sets of shots are used in turn, so that the server's prefix cache works. The shots of a variation are the seed
    and the texts nearest to it in style.
    """
    trait = plan.model.trait(cell.trait)
    if cell.seed:
        shown = _list_variation_shots(plan.model, cell, cell.seed, cell.index % SHOT_SETS)
    else:
        shown = _list_plain_shots(plan.model, cell, f"{plan.seed}/{cell.round_no}/{cell.index % SHOT_SETS}")
    shots = [{"text": " ".join(text.split()), "subject": _lead_to(trait, cell.pole, about)} for about, text in shown]
    # One line that describes the texts below it.
    paraphrase = trait.paraphrase(cell.pole)
    heading = paraphrase[0] if paraphrase else f"{trait.name}: {trait.label(cell.pole)}. {trait.description}"
    subject = _lead_to(trait, cell.pole, cell.scenario.subject)
    # The document names its texts by the pole's own label, if it has one (docs/decisions/002-subjects.md). Without
    # shots, the model takes a bare label for a field of a form: only 34 of 108 texts were prose.
    field = " ".join(trait.label(cell.pole).split()).rstrip(":")
    if field in ("", "Yes", "No"):
        field = "Text"
    elif not shots and field != "Text":
        field = f"{field} text"
    kind, length = plan.model.handle.partition(".")[2].replace("-", " "), plan.length(cell).name
    given = {"heading": heading, "field": field, "shots": shots, "subject": subject, "kind": kind, "length": length}
    return Prompt(_render("plain.jinja", **given))


def write_judge_prompt(model: Model, trait: Trait, text: str, seed: int) -> Prompt | None:
    """Return the document that the verdict completes; None if a pole has no text to show, authored or accepted."""
    shots: list[Mapping[str, str]] = []
    for pole, word in VERDICTS.items():
        seeds = model.examples_at(trait.key, pole)
        if not seeds:
            return None
        picked = _pick(seeds, JUDGE_SHOTS_PER_POLE, f"{seed}/judge/{pole}")
        shots += [{"text": item.text, "word": word} for item in picked]
    random.Random(f"{seed}/judge/{trait.key}").shuffle(shots)
    return Prompt(_render("judge.jinja", shots=shots, text=text))


def write_vote_prompt(
    model: Model, trait: Trait, text: str, first: Pole, language: str = "English", asks_sense: bool = False
) -> Prompt:
    """Return the blind prompt of a vote: the trait's question, the two poles and the text, without the text's label."""
    user = _render(
        "vote.jinja",
        model=model,
        trait=trait,
        brief_items=_list_brief(model.brief),
        order=(first, OTHER_POLE[first]),
        neither=name_neither([trait.label(pole) for pole in POLES]),
        text=text,
        language=language,
        asks_sense=asks_sense,
    )
    return Prompt(user, _render("vote_system.jinja"))


def name_neither(labels: Sequence[str]) -> str:
    """Return the answer that votes for neither pole: a word that is no label of theirs."""
    return next(word for word in NEITHER if word not in [label.casefold().strip() for label in labels])


def make_text_schema(count: int) -> Mapping[str, object]:
    """Return the schema of a chat model's reply: one text, or exactly ``count`` texts."""
    text: Mapping[str, object] = {"type": "string"}
    several = {"type": "array", "items": text, "minItems": count, "maxItems": count}
    name, value = ("text", text) if count == 1 else ("texts", several)
    return _make_schema({name: value})


def make_vote_schema(labels: Sequence[str], more: Sequence[str] = ()) -> Mapping[str, object]:
    """Return the schema of a vote: the label of a pole, or neither, and yes or no in the fields of ``more``."""
    enums = {"answer": [*labels, name_neither(labels)], **{name: ["yes", "no"] for name in more}}
    return _make_schema({name: {"type": "string", "enum": enum} for name, enum in enums.items()})


def make_proposal_schema(counts: Mapping[str, int]) -> Mapping[str, object]:
    """Return the schema of a proposal by a chat model: a list of phrases for each part of the scenarios.

    Each list has a maximum length, because a small model does not end lists without one.
    """
    phrases: Mapping[str, object] = {"type": "array", "items": {"type": "string"}}
    return _make_schema({part: {**phrases, "maxItems": count} for part, count in counts.items()})


def write_subjects_prompt(model: Model, counts: Mapping[str, int], language: str = "English") -> Prompt:
    """Return the prompt for subjects, audiences and forms. ``counts`` has the number of phrases for each part, without
    the parts that the author gave.
    """
    return Prompt(
        _render(
            "subjects.jinja",
            model=model,
            brief_items=_list_brief(model.brief),
            counts=counts,
            language=language,
            shots=[seed.text for seed in _pick(model.seeds, CHAT_SHOTS, f"subjects/{model.handle}")],
        ),
        _render("subjects_system.jinja"),
    )


def _make_schema(properties: Mapping[str, object]) -> Mapping[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _write_system(plan: Plan, cell: Cell, trait: Trait) -> str:
    """Write the system message, which is the same in all cells of a trait and pole."""
    return _render(
        "diversify.jinja" if cell.seed else f"{trait.type}.jinja",
        model=plan.model,
        trait=trait,
        cell=cell,
        brief_items=_list_brief(plan.model.brief),
        ends=[{"label": trait.label(end), "paraphrase": trait.paraphrase(end)} for end in POLES],
        label=trait.label(cell.pole),
        other_label=trait.label(OTHER_POLE[cell.pole]),
        paraphrase=trait.paraphrase(cell.pole),
        language=plan.language.name,
        count=plan.level.exemplars_per_call,
    )


def _choose_length(plan: Plan, cell: Cell) -> Length:
    """Return a cell's range of words, or only the middle of the range if the poles differ in length."""
    length = plan.length(cell)
    if cell.hints.words is None:
        return length
    middle = (length.min_words + length.max_words) / 2
    return Length(name=length.name, min_words=math.floor(0.9 * middle), max_words=math.ceil(1.1 * middle))


def _give_characters(length: Length, language: Language) -> str:
    """Give a length also in characters, for a language without spaces, where nobody counts words."""
    per_word = CHARACTERS_PER_WORD.get(language.code)
    if per_word is None:
        return ""
    return f", which is {round(per_word * length.min_words)} to {round(per_word * length.max_words)} characters"


def _write_shots(plan: Plan, cell: Cell, trait: Trait) -> tuple[tuple[str, str], ...]:
    """Return authored texts of the pole, each as the answer to its own subject; the same in all cells of a round."""
    texts = tuple(seed.text for seed in plan.model.examples_at(trait.key, cell.pole))
    known = list(zip(name_subjects(texts), texts, strict=True))
    return tuple(
        (
            _render("shot.jinja", trait=trait, pole=cell.pole, subject=subject, words=count_words(text)),
            _write_answer(plan.level.exemplars_per_call, text),
        )
        for subject, text in _pick(known, CHAT_SHOTS, f"{plan.seed}/{cell.round_no}/{trait.key}/{cell.pole}")
    )


def _variation_turns(plan: Plan, trait: Trait, pole: Pole, seed: Seed) -> tuple[tuple[str, str], ...]:
    # Limited, because the subjects and styles of all these seeds are computed for each cell.
    seeds = list_usable_seeds(plan.model, trait.key, pole)[:MAX_SEEDS_PER_POLE]
    near, subjects = _rank_by_style(seeds, seed)
    count = plan.level.exemplars_per_call
    pairs = [near[index : index + 2] for index in range(0, 2 * VARIATION_TURNS, 2)]
    return tuple(
        (_ask_variation(plan, trait, pole, shown, subjects[answer], answer), _write_answer(count, answer.text))
        for answer, shown in (pair for pair in reversed(pairs) if len(pair) == 2)
    )


def _ask_variation(plan: Plan, trait: Trait, pole: Pole, shown: Seed, subject: str, like: Seed) -> str:
    """Ask for a variation of the text ``shown``, on another subject, with the length of the text ``like``."""
    length = bound_variation_length(like)
    return _render(
        "variation.jinja",
        trait=trait,
        label=trait.label(pole),
        shown=shown.text,
        subject=subject,
        words=count_words(like.text),
        length=length,
        characters=_give_characters(length, plan.language),
    )


def _write_answer(count: int, text: str) -> str:
    """Return an authored text in the form of a model's reply with ``count`` texts."""
    return json.dumps({"text": text} if count == 1 else {"texts": [text]}, ensure_ascii=False)


def _list_plain_shots(model: Model, cell: Cell, key: str) -> list[tuple[str, str]]:
    """Return authored texts with their subjects. If there are none, late rounds show accepted or else earlier texts.

    A model copies its own texts, accepted by a person or not. The copies are alike and teach less
    (docs/decisions/002-subjects.md), so its texts are shown only for exemplars that several rounds did not yield.
    """
    late = cell.round_no > ROUNDS_WITHOUT_SHOTS
    seeds = model.seeds_at(cell.trait, cell.pole) or (model.examples_at(cell.trait, cell.pole) if late else ())
    texts = tuple(seed.text for seed in seeds)
    earlier = list(cell.hints.shots) if late else []
    known = list(zip(name_subjects(texts), texts, strict=True)) if texts else earlier
    return _pick(known, PLAIN_SHOTS, f"{key}/{cell.trait}/{cell.pole}")


def _list_variation_shots(model: Model, cell: Cell, seed: Seed, turn: int) -> list[tuple[str, str]]:
    """Return texts in the style of the seed with their subjects, and the seed last, right before the text to write
    (docs/decisions/002-subjects.md).
    """
    others, subjects = _rank_by_style(list_usable_seeds(model, cell.trait, cell.pole), seed)
    near = others[turn * VARIATION_SHOTS :][:VARIATION_SHOTS] or others[:VARIATION_SHOTS]
    return [(subjects[item], item.text) for item in (*reversed(near), seed)]


def _rank_by_style(seeds: Sequence[Seed], seed: Seed) -> tuple[list[Seed], Mapping[Seed, str]]:
    """Return all seeds except this one, the nearest to it in style first, and the subject of every seed."""
    subjects = dict(zip(seeds, name_subjects(tuple(item.text for item in seeds)), strict=True))
    others = sorted((item for item in seeds if item != seed), key=lambda item: measure_distance(seed.text, item.text))
    return others, subjects


def _lead_to(trait: Trait, pole: Pole, subject: str) -> str:
    """Return the subject for the prompt: a text about a topic or with a claim must lead from its subject to that."""
    leads = trait.type == "claim" or (trait.type == "topic" and pole == "positive")
    return f"{trait.name.lower()}, {subject}" if leads else subject


def _pick(items: Sequence[Item], count: int, key: str) -> list[Item]:
    return random.Random(key).sample(items, min(count, len(items)))


def _list_brief(brief: Brief) -> list[tuple[str, tuple[str, ...]]]:
    return [(title, texts) for name, title in BRIEF_TITLES.items() if (texts := getattr(brief, name))]


@cache
def _environment() -> jinja2.Environment:
    # Prompts are plain text, not HTML, so nothing is escaped.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701
    )


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values).strip()
