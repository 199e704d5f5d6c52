"""Spreads subjects over what a model says that it is about: each field that it names has an equal share of them.

A field is a phrase of the brief's domain ("tax offices"), or else the description; and beside them what the seeds are
about. Candidates are the subjects of all scenario packs, ranked for each field by the sentence encoder, which places a
short phrase well and a sentence badly: so a pack's ``words`` say what its subjects are about.
docs/decisions/002-subjects.md has the measurements.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise

import numpy as np
import regex

from engine.asking.text_subjects import DETERMINERS, LEAST_SUBJECTS, list_noun_phrases
from engine.definitions.scenario_packs import FALLBACK_PACK, SCENARIOS_FOLDER, Pack, Packs
from engine.domain.model import Model
from engine.text.embedding import DECIMALS, DIMENSIONS, Vectors, encode, normalise_rows
from engine.text.language import decide_language, detect_language
from engine.text.words import FUNCTION_WORDS, list_function_words, normalise, split_words, take_opening

# How much it counts that a subject's pack is the whole model's, from the nearness on that any pack has to a model of no
# field; the first number where a pack is made for the model's kind of text: without it travel as an expense is a
# holiday. Elsewhere as much makes a shower head a subject of music.
CONTEXT_OF_KIND, CONTEXT, NO_CONTEXT = 3.0, 1.0, 0.25
# The least nearness to the model of a pack whose kind of text the model names.
PURPOSES = 0.6
# A field is covered by a pack that is made for the model's kind of text, or if so many subjects and their packs are as
# near to it as this. Of 64 fields that packs have 59 are, of 52 that they have not 17. Of others only subjects that are
# as near as the last number are chosen.
BEST, MIN_COVERED, MIN_NEAR = 6, 0.65, 0.55
# The least nearness of a pack that is about the model: 32 of 34 models of fields that packs have reach it, and 6 of 34
# of other fields. A model that has only a description takes its subjects from that pack and those hardly farther.
MIN_PACK, MAX_BELOW = 0.3, 0.1
# A phrase as near as this to a pack's kind of text is one, such as "public notices", and no field.
MIN_KIND = 0.75
# So many subjects are chosen in all, and for each field at least ``LEAST_SUBJECTS``, where there are as many.
ALL_SUBJECTS = 96
MOST_FIELDS = 24
MAX_WORDS = 6
# Behind these function words stands a verb: "people who | sell bikes", "the house he | went round".
BEFORE_VERBS = frozenset(
    "i you he she it we they who whom which that what how why when where whether if not am is are was were be been has "
    "have had do does did can could may might must shall should will would".split()
)
MOST_SEEDS = 48

# The encoder's vectors of the packs' phrases, bit by bit, for which every start would else take a CPU-second. "make
# docs" writes them, and what lacks there is computed.
VECTORS_FILE = SCENARIOS_FOLDER / "vectors.npz"
UNITS = 10**DECIMALS

DESCRIPTION, SEEDS, REST = "the description", "the seeds", "everyday life"
_PARTS = re.compile(r"[,;.、，；。]|\b(?:and|or|und|oder|et|ou|y)\b")


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a model names, and its subjects: all of one tier are used before the next.

    ``covered`` is false where no pack has subjects of it, so that its own name stands for them.
    """

    name: str
    tiers: tuple[tuple[str, ...], ...]
    covered: bool = True

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects, tier by tier."""
        return tuple(subject for tier in self.tiers for subject in tier)


@dataclass(frozen=True, slots=True)
class PackIndex:
    """The subjects of all packs, and where the encoder places them and their packs.

    Args:
        subjects: each once.
        pack_of: the number of its pack, of shape ``(subjects,)``.
        purposes: the kinds of text of each pack, in singular and plural, as ``normalise`` has them between words.
        vectors: unit rows from the mean of all subjects, of shape ``(subjects, dimensions)``.
        fields: the same of each pack's name, ``words`` and ``kinds``, of shape ``(packs, dimensions)``.
        kinds: the same of each kind of text that a pack names.
        own: the encoder's vector of each subject, in units of ``1 / UNITS``.
        mean: of these.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    pack_of: np.ndarray
    purposes: tuple[tuple[str, ...], ...]
    vectors: Vectors
    fields: Vectors
    kinds: Vectors
    own: Mapping[str, Vectors]
    mean: Vectors

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The encoder's vectors of texts, of which only those are computed that are no pack's subjects."""
        return _stack(_know(texts, self.own), texts)

    def place(self, texts: Sequence[str]) -> Vectors:
        """Places texts among the subjects: unit rows of shape ``(len(texts), dimensions)``."""
        return normalise_rows(self.embed(texts) - self.mean)

    def measure_packs(self, model: Model) -> tuple[np.ndarray, bool]:
        """Measures how near each pack is to a model, by its handle, description and domain, of shape ``(packs,)``.

        The second value is whether one is made for the model's kind of text.
        """
        said = [model.handle.partition(".")[2].replace("-", " "), model.description, *model.brief.domain]
        placed = normalise_rows(self.place([text for text in said if text]).mean(axis=0, keepdims=True))[0]
        near, words = np.round(self.fields @ placed, 6), " ".join(["", *map(normalise, said), ""])
        purposes = np.array([any(form in words for form in forms) for forms in self.purposes])
        return np.where(purposes, np.maximum(near, PURPOSES), near), bool(purposes.any())

    def score(self, fields: Vectors) -> np.ndarray:
        """Scores each subject for each field by its own nearness and its pack's, of shape ``(fields, subjects)``."""
        return np.round(fields @ self.vectors.T + (fields @ self.fields.T)[:, self.pack_of], 6)

    def choose_pack(self, model: Model) -> str:
        """Choose the pack that is nearest to a model, or the fallback, which fits any text, if no pack is near."""
        near, _ = self.measure_packs(model)
        return self.names[int(np.argmax(near))] if near.max() >= MIN_PACK else FALLBACK_PACK


def index_packs(packs: Packs) -> PackIndex:
    """Places the packs, once for all runs of the process."""
    return _index_packs(tuple(packs.packs.items()))


def list_phrases(packs: Collection[tuple[str, Pack]]) -> list[list[str]]:
    """Lists the phrases of packs that the encoder places: the subjects, each once; what each pack is about; the kinds
    of text that they are made for.
    """
    subjects = dict.fromkeys(subject for _, pack in packs for subject in pack.subjects)
    kinds_of = zip(packs, _list_kinds(packs), strict=True)
    about = [[name.replace("-", " "), *pack.words, *kinds] for (name, pack), kinds in kinds_of]
    return [list(subjects), *about, [kind for _, pack in packs for kind in pack.kinds]]


def name_fields(model: Model) -> list[str]:
    """Lists the fields that a brief's domain names, such as "tax offices" of "Letters from town halls, tax offices".

    The first phrase of a text says what kind of text it is, so only its last noun phrase behind a function word is one;
    the same holds for phrases that are too long. Before a colon there is none.
    """
    fields: list[str] = []
    detected = detect_language(model.brief.domain)
    language = detected if detected and detected in DETERMINERS else "en"
    function_words = FUNCTION_WORDS | list_function_words(language)
    for text in model.brief.domain:
        head, colon, body = text.partition(":")
        for number, part in enumerate(_PARTS.split(body if colon else head)):
            words = part.split()
            cuts = [index for index, word in enumerate(words) if word.lower() in function_words]
            if cuts and ((not colon and number == 0) or len(words) > MAX_WORDS or cuts[0] == 0):
                words = _find_last_phrase(words, function_words, language)
            if words and len(words) <= MAX_WORDS:
                fields.append(" ".join(words))
    return list({field.casefold(): field for field in reversed(fields)}.values())[::-1][:MOST_FIELDS]


def spread_subjects(
    model: Model, packs: Packs, proposed: Sequence[str] = (), taken: Collection[str] = ()
) -> tuple[Field, ...]:
    """Spreads the subjects of all packs, and those that are proposed, over the fields that a model names.

    A subject belongs to one field; proposed ones come first. A field that no pack covers has its own name and the
    few subjects that are near; where most are such, or too few are left, those of ``everyday`` are one more field.

    Args:
        taken: subjects in the form of ``normalise`` that are not to be used.
    """
    index = index_packs(packs)
    near, is_intended_for = index.measure_packs(model)
    names = _drop_kinds(index, name_fields(model))
    # A sentence is placed too badly to be held against single subjects: its pack alone counts.
    is_sentence = bool(not names and model.description and near.max() >= MIN_PACK)
    said = names or ([model.description] if is_sentence else [])
    # Who proposes subjects has been shown the seeds.
    seeds = () if proposed else tuple(seed.text for seed in model.draw_seeds())[:MOST_SEEDS]
    vectors = index.place([*said, *seeds])
    own_scores = index.score(vectors)
    scores = own_scores.copy()
    # Seeds say for themselves what they are about, where no pack is made for their kind of text.
    context = (CONTEXT_OF_KIND if is_intended_for else CONTEXT) * np.maximum(0, near - NO_CONTEXT)[index.pack_of]
    scores[: None if is_intended_for else len(said)] += context
    if is_sentence:
        scores[:, near[index.pack_of] < near.max() - MAX_BELOW] = -np.inf
    scores[:, [normalise(subject) in taken for subject in index.subjects]] = -np.inf
    if seeds:
        # All seeds are one field, and a subject is as near to it as to the nearest seed.
        scores = np.vstack([scores[: len(said)], scores[len(said) :].max(axis=0)])
        vectors = np.vstack([vectors[: len(said)], vectors[len(said) :].mean(axis=0)])
    names = [*(names or [DESCRIPTION] * len(said)), *([SEEDS] if seeds else [])]
    covered = np.ones(len(names), dtype=bool)
    if not is_intended_for and not is_sentence:
        covered[: len(said)] = np.sort(own_scores[: len(said)], axis=1)[:, -BEST] >= MIN_COVERED
        near_enough = covered[: len(said), None] | (own_scores[: len(said)] >= MIN_NEAR)
        scores[: len(said)][~near_enough] = -np.inf
    chosen, left = _deal(scores), drop_taken(proposed, taken)
    offered = _assign(index, vectors, left)
    covered |= np.array([bool(its) for its in offered], dtype=bool)
    lacks = not left and (not said or 2 * covered[: len(said)].sum() < len(said))
    phrases = list_noun_phrases(seeds, decide_language(model).tag)
    own = drop_taken([its[0] for its in phrases if its] or name_subjects(seeds), taken)
    fields = [] if names else [Field("proposed", (left,))]
    for number, name in enumerate(names):
        found = tuple(index.subjects[subject] for subject in chosen[number])
        itself = own if name == SEEDS else () if covered[number] else drop_taken([name], taken)
        fields.append(Field(name, (offered[number], found, itself), bool(covered[number])))
    fewest = LEAST_SUBJECTS if left else 2 * LEAST_SUBJECTS
    if lacks or sum(len(field.subjects) for field in fields) < fewest:
        fields.append(Field(REST, (drop_taken(packs.packs[FALLBACK_PACK].subjects, taken),)))
    return keep_once(fields)


def list_own_fields(model: Model, packs: Packs, proposed: Sequence[str], taken: Collection[str]) -> tuple[Field, ...]:
    """Lists fields in a language that the encoder does not know: what is proposed, what domain and seeds name.

    Where they have too few subjects, ``everyday`` fills up.
    """
    own = *name_fields(model), *name_subjects(tuple(seed.text for seed in model.draw_seeds()))
    given = (("proposed", tuple(proposed)), ("the model's own words", own))
    fields = [Field(name, (drop_taken(its, taken),)) for name, its in given]
    if sum(len(field.subjects) for field in fields) < 2 * LEAST_SUBJECTS:
        fields.append(Field(REST, (drop_taken(packs.packs[FALLBACK_PACK].subjects, taken),)))
    return keep_once(fields)


# Every cell of a trait and pole asks for the subjects of the same texts: naming those of 2,000 takes a second.
@lru_cache(maxsize=64)
def name_subjects(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the subject of each text: the run of content words that best distinguishes it from the other texts.

    A run's score is the sum of the inverse document frequencies of its words that are longer than two letters, lower
    for later runs. Runs are cut at function words and punctuation, as in RAKE (Rose et al. 2010).
    """
    frequencies = Counter(word for text in texts for word in set(split_words(text)))
    return tuple(_best_run(text, frequencies, len(texts)) for text in texts)


def keep_once(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Removes what an earlier field or tier has, ignoring case, and fields and tiers without subjects."""
    seen: set[str] = set()
    kept = []
    for field in fields:
        tiers = []
        for tier in field.tiers:
            fresh = [subject for subject in dict.fromkeys(tier) if subject.casefold() not in seen]
            seen.update(subject.casefold() for subject in fresh)
            if fresh:
                tiers.append(tuple(fresh))
        if tiers:
            kept.append(Field(field.name, tuple(tiers), field.covered))
    return tuple(kept)


def drop_taken(subjects: Iterable[str], taken: Collection[str]) -> tuple[str, ...]:
    """Drops the subjects whose form by ``normalise`` is taken."""
    return tuple(subject for subject in subjects if normalise(subject) not in taken)


@lru_cache(maxsize=2)
def _index_packs(packs: tuple[tuple[str, Pack], ...]) -> PackIndex:
    # Of packs that have the same subject the first counts.
    pack_of = dict(reversed([(item, number) for number, (_, pack) in enumerate(packs) for item in pack.subjects]))
    groups = list_phrases(packs)
    phrases = [phrase for group in groups for phrase in group]
    with np.load(VECTORS_FILE) as file:
        known = _know(phrases, dict(zip(file["phrases"].tolist(), file["vectors"], strict=True)))
    vectors, own = _stack(known, phrases), {subject: known[subject] for subject in groups[0]}
    mean = vectors[: len(own)].mean(axis=0)
    ends = np.cumsum([len(group) for group in groups])
    subjects, *fields, kinds = np.split(normalise_rows(vectors - mean), ends[:-1])
    return PackIndex(
        tuple(name for name, _ in packs),
        tuple(own),
        np.array([pack_of[subject] for subject in own]),
        tuple(tuple(f" {normalise(kind)}{end} " for kind in its for end in ("", "s")) for its in _list_kinds(packs)),
        subjects,
        normalise_rows(np.stack([rows.mean(axis=0) for rows in fields])),
        kinds,
        own,
        mean,
    )


def _list_kinds(packs: Collection[tuple[str, Pack]]) -> list[tuple[str, ...]]:
    """Lists the kinds of text of each pack; the fallback's are everybody's, and say nothing of a field."""
    return [() if name == FALLBACK_PACK else pack.kinds for name, pack in packs]


def _know(texts: Sequence[str], known: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Adds the vectors of texts that are not known, in units of ``1 / UNITS``."""
    others = tuple(text for text in texts if text not in known)
    return {**known, **dict(zip(others, np.rint(_encode_once(others) * UNITS), strict=True))}


def _stack(known: Mapping[str, np.ndarray], texts: Sequence[str]) -> Vectors:
    stacked: Vectors = np.reshape([known[text] for text in texts], (len(texts), DIMENSIONS)) / UNITS
    return stacked


@lru_cache(maxsize=64)
def _encode_once(texts: tuple[str, ...]) -> Vectors:
    """Encodes what a model says of itself, which is placed four times: twice for each of its draft and its plan."""
    return encode(texts)


def _drop_kinds(index: PackIndex, names: list[str]) -> list[str]:
    """Drops the names that are as near as ``MIN_KIND`` to a kind of text that a pack is made for."""
    if not names or not len(index.kinds):
        return names
    nearest = (index.place(names) @ index.kinds.T).max(axis=1)
    return [name for name, kind in zip(names, nearest, strict=True) if kind < MIN_KIND]


def _deal(scores: np.ndarray) -> list[list[int]]:
    """Deals out the subjects: field by field in turn its best that none has, until each has enough."""
    dealt: list[list[int]] = [[] for _ in scores]
    count = max(LEAST_SUBJECTS, ALL_SUBJECTS // max(1, len(scores)))
    orders = [iter(np.argsort(-row, kind="stable")) for row in scores]
    given: set[int] = set()
    for _ in range(count):
        for number in range(len(scores)):
            best = next((int(item) for item in orders[number] if int(item) not in given), None)
            if best is not None and np.isfinite(scores[number, best]):
                given.add(best)
                dealt[number].append(best)
    return dealt


def _assign(index: PackIndex, fields: Vectors, proposed: Sequence[str]) -> list[tuple[str, ...]]:
    if not proposed or not len(fields):
        return [()] * len(fields)
    nearest = np.argmax(np.round(index.place(proposed) @ fields.T, 6), axis=1)
    return [
        tuple(subject for subject, its in zip(proposed, nearest, strict=True) if its == number)
        for number in range(len(fields))
    ]


def _find_last_phrase(words: Sequence[str], function_words: Collection[str], language: str) -> list[str]:
    """Find the last run of content words that stands behind function words and has no verb."""
    groups = [(says, list(run)) for says, run in groupby(words, lambda word: word.lower() not in function_words)]
    for (_, before), (says, run) in reversed(list(pairwise(groups))):
        is_verb = not BEFORE_VERBS.isdisjoint(map(str.lower, before)) or (language == "de" and run[-1].islower())
        if says and not is_verb:
            return run
    return []


def _best_run(text: str, frequencies: Counter[str], total: int) -> str:
    best, best_score = take_opening(text, 4), -math.inf
    for position, run in enumerate(_content_runs(text)):
        weights = [math.log((1 + total) / (1 + frequencies[word.lower()])) for word in run if len(word) > 2]
        if (score := sum(weights) / (1 + position / 8)) > best_score:
            best, best_score = " ".join(run), score
    return best


def _content_runs(text: str) -> Iterator[list[str]]:
    def says_something(word: str) -> bool:
        return word.lower() not in FUNCTION_WORDS and re.search(r"[^\W\d_]", word) is not None

    for clause in regex.split(r"[^\w\s'’-]|\d+", text):
        for says, run in groupby(clause.split(), says_something):
            if says:
                yield [word if word.isupper() else word.lower() for word in run][:3]
