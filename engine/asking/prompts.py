"""Prompts: a cell becomes the request that asks for it. Their words are in the templates of ``templates/``."""

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
from engine.domain.model import MAX_SEEDS_PER_POLE, OTHER_POLE, POLES, Brief, Length, Model, Pole, Seed, Trait
from engine.llm.client.request import Prompt
from engine.text.language import Language
from engine.text.stylometry import measure_distance
from engine.text.words import CHARACTERS_PER_WORD, count_words, take_opening

Item = TypeVar("Item")

FOLDER = Path(__file__).parent / "templates"
OWN_TEXTS = "own_texts.jinja"
# So many of the author's own texts are shown, and of a long one the opening.
SHOWN_TEXTS, SHOWN_WORDS = 4, 120
CHAT_SHOTS = 4
PLAIN_SHOTS = 5
# So many sets of shots are shown in turn, so that no seed is in all prompts of its pole.
SHOT_SETS = 2
# After so many rounds a pole without authored texts is shown the best of the earlier ones.
ROUNDS_WITHOUT_SHOTS = 3
VARIATION_SHOTS = 2
VARIATION_TURNS = 2
JUDGE_SHOTS_PER_POLE = 10
VERDICTS: Mapping[Pole, str] = {"positive": "good", "negative": "bad"}

# Failure modes are not among them: they are shared out over the negative cells, one each.
BRIEF_TITLES: Mapping[str, str] = {
    "intent": "What the scores are for",
    "domain": "Where the texts come from",
    "exemplars_of_good": "What is good",
    "edge_cases": "Edge cases",
    "non_goals": "What does not count",
}

# A vote for no pole; the second where a label is the first.
NEITHER = ("neither", "neither of them")


@cache
def prompts_version(with_texts: bool = False) -> str:
    """The version of the prompts: a digest of all that they are made of, so that no change goes unnoticed.

    Args:
        with_texts: whether the model has texts without labels, which no other model's prompts speak of.
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
        if with_texts or path.name != OWN_TEXTS:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def write_chat_prompt(plan: Plan, cell: Cell) -> Prompt:
    """The prompt for a chat model: what all cells of the trait and pole have in common, then authored texts of the pole
    as turns of a conversation, then the scenario, so that a provider's cache knows all but the last message.
    """
    trait, pole = plan.model.trait(cell.trait), cell.pole
    system = _write_system(plan, cell, trait)
    if cell.seed:
        asked = _ask_variation(plan, trait, pole, cell.seed, cell.scenario.subject, cell.seed)
        return Prompt(asked, system, _variation_turns(plan, trait, pole, cell.seed))
    if plan.model.texts.drawn:
        shown = _pick(plan.model.texts.drawn, SHOWN_TEXTS, f"{plan.seed}/texts")
        system += "\n\n" + _render(OWN_TEXTS, texts=[take_opening(text, SHOWN_WORDS) for text in shown])
    # A name that is nothing but the range of words says the same twice.
    length, named = _choose_length(plan, cell), plan.length(cell)
    user = _render(
        "scenario.jinja",
        trait=trait,
        cell=cell,
        label=trait.label(pole),
        length=length,
        length_name=None if named.name == named.words else named.name,
        characters=_say_in_characters(length, plan.language),
    )
    return Prompt(user, system, _write_shots(plan, cell, trait))


def write_words_only(prompt: Prompt, schema: Mapping[str, object]) -> Prompt:
    """The same prompt with the JSON schema asked for in words, for providers that take none."""
    asked = _render("words_only.jinja", schema=json.dumps(schema))
    return replace(prompt, user=f"{prompt.user}\n\n{asked}")


def write_plain_prompt(plan: Plan, cell: Cell) -> Prompt:
    """The document that a small base model completes: a heading, shots of the same pole, the next topic.

    The shots are one of a few sets in turn, so that the server's prefix cache works. Those of a variation are the seed
    and the texts that are nearest to it in style.
    """
    trait = plan.model.trait(cell.trait)
    if cell.seed:
        shown = _list_variation_shots(plan.model, cell, cell.seed, cell.index % SHOT_SETS)
    else:
        shown = _list_plain_shots(plan.model, cell, f"{plan.seed}/{cell.round_no}/{cell.index % SHOT_SETS}")
    shots = [{"text": " ".join(text.split()), "subject": _lead_to(trait, cell.pole, about)} for about, text in shown]
    # One line that says what the texts below it are.
    paraphrase = trait.paraphrase(cell.pole)
    heading = paraphrase[0] if paraphrase else f"{trait.name}: {trait.label(cell.pole)}. {trait.description}"
    subject = _lead_to(trait, cell.pole, cell.scenario.subject)
    # The document calls its texts by the pole's own label, where it has one (docs/decisions/002-subjects.md). Without a
    # text to follow a bare label is taken for a field of a form: of 108 texts 34 were prose.
    field = " ".join(trait.label(cell.pole).split()).rstrip(":")
    if field in ("", "Yes", "No"):
        field = "Text"
    elif not shots and field != "Text":
        field = f"{field} text"
    kind, length = plan.model.handle.partition(".")[2].replace("-", " "), plan.length(cell).name
    given = {"heading": heading, "field": field, "shots": shots, "subject": subject, "kind": kind, "length": length}
    return Prompt(_render("plain.jinja", **given))


def write_judge_prompt(model: Model, trait: Trait, text: str, seed: int) -> Prompt | None:
    """The document whose next word is the verdict; None where a pole has no text to show, authored or accepted."""
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
    """The blind form of a vote: the trait's question, the two poles, the text, and nothing of what was asked for."""
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
    """The answer that votes for neither pole: a word that is no label of theirs."""
    return next(word for word in NEITHER if word not in [label.casefold().strip() for label in labels])


def make_text_schema(count: int) -> Mapping[str, object]:
    """The schema of a chat model's reply: one text, or exactly so many."""
    text: Mapping[str, object] = {"type": "string"}
    several = {"type": "array", "items": text, "minItems": count, "maxItems": count}
    name, value = ("text", text) if count == 1 else ("texts", several)
    return _make_schema({name: value})


def make_vote_schema(labels: Sequence[str], more: Sequence[str] = ()) -> Mapping[str, object]:
    """The schema of a vote: the label of a pole, or neither, and in further fields yes or no."""
    enums = {"answer": [*labels, name_neither(labels)], **{name: ["yes", "no"] for name in more}}
    return _make_schema({name: {"type": "string", "enum": enum} for name, enum in enums.items()})


def make_proposal_schema(counts: Mapping[str, int]) -> Mapping[str, object]:
    """The schema of the reply in which a chat model proposes these parts of the scenarios, each a list of phrases.

    Where lists have no most, a small model does not end them.
    """
    phrases: Mapping[str, object] = {"type": "array", "items": {"type": "string"}}
    return _make_schema({part: {**phrases, "maxItems": count} for part, count in counts.items()})


def write_subjects_prompt(model: Model, counts: Mapping[str, int], language: str = "English") -> Prompt:
    """The prompt that asks a chat model for subjects, audiences and forms, so many of each; what is not in ``counts``
    the author has given.
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
    """What is the same in all cells of a trait and pole."""
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
    """The words that a cell asks for; only the middle of the range where length could tell the poles apart."""
    length = plan.length(cell)
    if cell.hints.words is None:
        return length
    middle = (length.min_words + length.max_words) / 2
    return Length(name=length.name, min_words=math.floor(0.9 * middle), max_words=math.ceil(1.1 * middle))


def _say_in_characters(length: Length, language: Language) -> str:
    """Say a length in characters too, where the language is written without spaces and nobody counts words."""
    each = CHARACTERS_PER_WORD.get(language.code)
    if each is None:
        return ""
    return f", which is {round(each * length.min_words)} to {round(each * length.max_words)} characters"


def _write_shots(plan: Plan, cell: Cell, trait: Trait) -> tuple[tuple[str, str], ...]:
    """Authored texts of the pole, each as the answer to its own subject: the same in all cells of a round."""
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
    # More would have to be named and measured for each cell.
    seeds = list_usable_seeds(plan.model, trait.key, pole)[:MAX_SEEDS_PER_POLE]
    near, subjects = _rank_by_style(seeds, seed)
    count = plan.level.exemplars_per_call
    pairs = [near[index : index + 2] for index in range(0, 2 * VARIATION_TURNS, 2)]
    return tuple(
        (_ask_variation(plan, trait, pole, shown, subjects[answer], answer), _write_answer(count, answer.text))
        for answer, shown in (pair for pair in reversed(pairs) if len(pair) == 2)
    )


def _ask_variation(plan: Plan, trait: Trait, pole: Pole, shown: Seed, subject: str, like: Seed) -> str:
    """Ask for a variation of the text that is shown, on another subject and as long as another text."""
    length = bound_variation_length(like)
    return _render(
        "variation.jinja",
        trait=trait,
        label=trait.label(pole),
        shown=shown.text,
        subject=subject,
        words=count_words(like.text),
        length=length,
        characters=_say_in_characters(length, plan.language),
    )


def _write_answer(count: int, text: str) -> str:
    """An authored text as the model would have answered with it, who is asked for so many."""
    return json.dumps({"text": text} if count == 1 else {"texts": [text]}, ensure_ascii=False)


def _list_plain_shots(model: Model, cell: Cell, key: str) -> list[tuple[str, str]]:
    """Authored texts of the pole after their subjects; where there are none, none at first, then accepted or the best
    earlier ones.

    A model copies what it wrote itself, accepted by a person or not, so that such texts are alike and teach less
    (docs/decisions/002-subjects.md): they are shown only for what several rounds have left lacking.
    """
    late = cell.round_no > ROUNDS_WITHOUT_SHOTS
    seeds = model.seeds_at(cell.trait, cell.pole) or (model.examples_at(cell.trait, cell.pole) if late else ())
    texts = tuple(seed.text for seed in seeds)
    earlier = list(cell.hints.shots) if late else []
    known = list(zip(name_subjects(texts), texts, strict=True)) if texts else earlier
    return _pick(known, PLAIN_SHOTS, f"{key}/{cell.trait}/{cell.pole}")


def _list_variation_shots(model: Model, cell: Cell, seed: Seed, turn: int) -> list[tuple[str, str]]:
    """Texts in the style of the seed after their subjects, and the seed last, right before the text to be written
    (docs/decisions/002-subjects.md).
    """
    others, subjects = _rank_by_style(list_usable_seeds(model, cell.trait, cell.pole), seed)
    near = others[turn * VARIATION_SHOTS :][:VARIATION_SHOTS] or others[:VARIATION_SHOTS]
    return [(subjects[item], item.text) for item in (*reversed(near), seed)]


def _rank_by_style(seeds: Sequence[Seed], seed: Seed) -> tuple[list[Seed], Mapping[Seed, str]]:
    """The other seeds, the nearest to the seed in style first, and the subject of each."""
    subjects = dict(zip(seeds, name_subjects(tuple(item.text for item in seeds)), strict=True))
    others = sorted((item for item in seeds if item != seed), key=lambda item: measure_distance(seed.text, item.text))
    return others, subjects


def _lead_to(trait: Trait, pole: Pole, subject: str) -> str:
    """The subject as the prompt names it: a topic or a claim has to be approached from whatever the subject is."""
    led = trait.type == "claim" or (trait.type == "topic" and pole == "positive")
    return f"{trait.name.lower()}, {subject}" if led else subject


def _pick(those: Sequence[Item], count: int, key: str) -> list[Item]:
    return random.Random(key).sample(those, min(count, len(those)))


def _list_brief(brief: Brief) -> list[tuple[str, tuple[str, ...]]]:
    return [(title, texts) for name, title in BRIEF_TITLES.items() if (texts := getattr(brief, name))]


@cache
def _environment() -> jinja2.Environment:
    # Prompts are plain text, not HTML: nothing may be escaped.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701
    )


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values).strip()
