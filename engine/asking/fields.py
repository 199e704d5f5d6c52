"""Share out subjects equally over the fields that a model names.

A field is a phrase of the brief's domain ("tax offices"), or else the description. The seeds together are one more
field. Candidates are the subjects of all scenario packs, ranked for each field by the sentence encoder. The encoder
places short phrases well and sentences badly, so a pack's ``words`` describe its subjects in short phrases.
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

# Weight of a pack's nearness to the whole model in the scores of its subjects. Only nearness above NO_CONTEXT counts,
# the nearness of any pack to a model without a field. CONTEXT_OF_KIND applies if a pack is made for the model's kind of
# text: without it, travel expenses become holidays. For other models it makes a shower head a subject of music.
CONTEXT_OF_KIND, CONTEXT, NO_CONTEXT = 3.0, 1.0, 0.25
# A pack has at least this nearness to a model that names the pack's kind of text.
PURPOSES = 0.6
# A field is covered if a pack is made for the model's kind of text, or if BEST subjects score MIN_COVERED or more,
# packs included. This holds for 59 of 64 fields that packs have, and for 17 of 52 that they lack. A field that is not
# covered receives only subjects with a score of MIN_NEAR or more.
BEST, MIN_COVERED, MIN_NEAR = 6, 0.65, 0.55
# Minimum nearness of a pack that is about the model: 32 of 34 models of fields that packs have reach it, and 6 of 34
# models of other fields. A model with only a description uses the nearest pack and packs at most MAX_BELOW farther.
MIN_PACK, MAX_BELOW = 0.3, 0.1
# From this nearness to a pack's kind of text, a phrase is a kind of text, such as "public notices", and no field.
MIN_KIND = 0.75
# Number of subjects to choose in total. Each field receives at least ``LEAST_SUBJECTS``, if there are as many.
ALL_SUBJECTS = 96
MOST_FIELDS = 24
MAX_WORDS = 6
# A verb follows these function words: "people who | sell bikes", "the house he | went round".
BEFORE_VERBS = frozenset(
    "i you he she it we they who whom which that what how why when where whether if not am is are was were be been has "
    "have had do does did can could may might must shall should will would".split()
)
MOST_SEEDS = 48

# The encoder's vectors of the packs' phrases, exact to the bit. They save a CPU-second at each start. "make docs"
# writes the file; vectors that are missing from it are computed.
VECTORS_FILE = SCENARIOS_FOLDER / "vectors.npz"
UNITS = 10**DECIMALS

DESCRIPTION, SEEDS, REST = "the description", "the seeds", "everyday life"
_PARTS = re.compile(r"[,;.、，；。]|\b(?:and|or|und|oder|et|ou|y)\b")


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a model names, and its subjects: all subjects of one tier are used before the next tier.

    ``covered`` is false if no pack has subjects for the field. Its own name is then one of its subjects.
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
    """The subjects of all packs, with the vectors of the subjects, packs and kinds of text.

    Args:
        names: the names of the packs.
        subjects: each subject once.
        pack_of: the number of each subject's pack, of shape ``(subjects,)``.
        purposes: the kinds of text of each pack, in singular and plural, in the form of ``normalise`` between spaces.
        vectors: unit rows, relative to the mean of all subjects, of shape ``(subjects, dimensions)``.
        fields: such rows for each pack's name, ``words`` and ``kinds``, of shape ``(packs, dimensions)``.
        kinds: such rows for each kind of text that a pack names.
        encoded: the encoder's vector of each subject, in units of ``1 / UNITS``.
        mean: the mean of the subjects' vectors.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    pack_of: np.ndarray
    purposes: tuple[tuple[str, ...], ...]
    vectors: Vectors
    fields: Vectors
    kinds: Vectors
    encoded: Mapping[str, Vectors]
    mean: Vectors

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the encoder's vectors of texts. The vectors of pack subjects are not computed again."""
        return _stack(_add_vectors(texts, self.encoded), texts)

    def place(self, texts: Sequence[str]) -> Vectors:
        """Place texts among the subjects: unit rows of shape ``(len(texts), dimensions)``."""
        return normalise_rows(self.embed(texts) - self.mean)

    def measure_packs(self, model: Model) -> tuple[np.ndarray, bool]:
        """Measure the nearness of each pack to a model, by its handle, description and domain, of shape ``(packs,)``.

        The second value states whether a pack is made for the model's kind of text.
        """
        texts = [model.handle.partition(".")[2].replace("-", " "), model.description, *model.brief.domain]
        placed = normalise_rows(self.place([text for text in texts if text]).mean(axis=0, keepdims=True))[0]
        near, words = np.round(self.fields @ placed, 6), " ".join(["", *map(normalise, texts), ""])
        purposes = np.array([any(form in words for form in forms) for forms in self.purposes])
        return np.where(purposes, np.maximum(near, PURPOSES), near), bool(purposes.any())

    def score(self, fields: Vectors) -> np.ndarray:
        """Score subjects for fields by their own nearness plus their pack's, of shape ``(fields, subjects)``."""
        return np.round(fields @ self.vectors.T + (fields @ self.fields.T)[:, self.pack_of], 6)

    def choose_pack(self, model: Model) -> str:
        """Choose the pack that is nearest to a model. If no pack is near, return the fallback, which fits any text."""
        near, _ = self.measure_packs(model)
        return self.names[int(np.argmax(near))] if near.max() >= MIN_PACK else FALLBACK_PACK


def index_packs(packs: Packs) -> PackIndex:
    """Return the index of the packs, computed once per process."""
    return _index_packs(tuple(packs.packs.items()))


def list_phrases(packs: Collection[tuple[str, Pack]]) -> list[list[str]]:
    """List the phrases of packs to encode: the subjects, each once; the words about each pack; the kinds of text."""
    subjects = dict.fromkeys(subject for _, pack in packs for subject in pack.subjects)
    kinds_of = zip(packs, _list_kinds(packs), strict=True)
    about = [[name.replace("-", " "), *pack.words, *kinds] for (name, pack), kinds in kinds_of]
    return [list(subjects), *about, [kind for _, pack in packs for kind in pack.kinds]]


def name_fields(model: Model) -> list[str]:
    """List the fields that a brief's domain names, such as "tax offices" in "Letters from town halls, tax offices".

    The first phrase of a text names the kind of text, so only its last noun phrase after a function word is a field.
    The same holds for phrases that are too long. Text before a colon is ignored.
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
    """Share out the subjects of all packs, and the proposed subjects, over the fields that a model names.

    A subject belongs to one field; proposed subjects come first. A field that no pack covers has its own name and the
    few subjects that are near. If most fields are not covered, or too few subjects remain, the subjects of ``everyday``
    are one more field.

    Args:
        taken: subjects that must not be used, in the form of ``normalise``.
    """
    index = index_packs(packs)
    near, is_intended_for = index.measure_packs(model)
    names = _drop_kinds(index, name_fields(model))
    # The encoder places a sentence too badly to compare it with single subjects, so only its nearest packs count.
    is_sentence = bool(not names and model.description and near.max() >= MIN_PACK)
    named = names or ([model.description] if is_sentence else [])
    # The model that proposed subjects was shown the seeds.
    seeds = () if proposed else tuple(seed.text for seed in model.draw_seeds())[:MOST_SEEDS]
    vectors = index.place([*named, *seeds])
    raw_scores = index.score(vectors)
    scores = raw_scores.copy()
    # Seeds need no context from the model, unless a pack is made for their kind of text.
    context = (CONTEXT_OF_KIND if is_intended_for else CONTEXT) * np.maximum(0, near - NO_CONTEXT)[index.pack_of]
    scores[: None if is_intended_for else len(named)] += context
    if is_sentence:
        scores[:, near[index.pack_of] < near.max() - MAX_BELOW] = -np.inf
    scores[:, [normalise(subject) in taken for subject in index.subjects]] = -np.inf
    if seeds:
        # All seeds are one field. A subject is as near to it as to the nearest seed.
        scores = np.vstack([scores[: len(named)], scores[len(named) :].max(axis=0)])
        vectors = np.vstack([vectors[: len(named)], vectors[len(named) :].mean(axis=0)])
    names = [*(names or [DESCRIPTION] * len(named)), *([SEEDS] if seeds else [])]
    covered = np.ones(len(names), dtype=bool)
    if not is_intended_for and not is_sentence:
        covered[: len(named)] = np.sort(raw_scores[: len(named)], axis=1)[:, -BEST] >= MIN_COVERED
        near_enough = covered[: len(named), None] | (raw_scores[: len(named)] >= MIN_NEAR)
        scores[: len(named)][~near_enough] = -np.inf
    chosen, left = _deal(scores), drop_taken(proposed, taken)
    assigned = _assign(index, vectors, left)
    covered |= np.array([bool(subjects) for subjects in assigned], dtype=bool)
    is_uncovered = not left and (not named or 2 * covered[: len(named)].sum() < len(named))
    phrases = list_noun_phrases(seeds, decide_language(model).tag)
    seed_subjects = drop_taken([group[0] for group in phrases if group] or name_subjects(seeds), taken)
    fields = [] if names else [Field("proposed", (left,))]
    for number, name in enumerate(names):
        from_packs = tuple(index.subjects[subject] for subject in chosen[number])
        last = seed_subjects if name == SEEDS else () if covered[number] else drop_taken([name], taken)
        fields.append(Field(name, (assigned[number], from_packs, last), bool(covered[number])))
    fewest = LEAST_SUBJECTS if left else 2 * LEAST_SUBJECTS
    if is_uncovered or sum(len(field.subjects) for field in fields) < fewest:
        fields.append(Field(REST, (drop_taken(packs.packs[FALLBACK_PACK].subjects, taken),)))
    return keep_once(fields)


def list_own_fields(model: Model, packs: Packs, proposed: Sequence[str], taken: Collection[str]) -> tuple[Field, ...]:
    """List the fields for a language that the encoder does not support: proposed, and from the domain and the seeds.

    If they have too few subjects, the subjects of ``everyday`` are added.
    """
    named = *name_fields(model), *name_subjects(tuple(seed.text for seed in model.draw_seeds()))
    sources = (("proposed", tuple(proposed)), ("the model's own words", named))
    fields = [Field(name, (drop_taken(subjects, taken),)) for name, subjects in sources]
    if sum(len(field.subjects) for field in fields) < 2 * LEAST_SUBJECTS:
        fields.append(Field(REST, (drop_taken(packs.packs[FALLBACK_PACK].subjects, taken),)))
    return keep_once(fields)


# Every cell of a trait and pole needs the subjects of the same texts, and naming 2,000 subjects takes a second.
@lru_cache(maxsize=64)
def name_subjects(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the subject of each text: the run of content words that best distinguishes it from other texts.

    A run's score is the sum of the inverse document frequencies of its words with more than two letters, lower for
    later runs. Runs are cut at function words and punctuation, as in RAKE (Rose et al. 2010).
    """
    frequencies = Counter(word for text in texts for word in set(split_words(text)))
    return tuple(_best_run(text, frequencies, len(texts)) for text in texts)


def keep_once(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Remove subjects that an earlier field or tier has, ignoring case, and fields and tiers without subjects."""
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
    """Drop the subjects that are taken, compared in the form of ``normalise``."""
    return tuple(subject for subject in subjects if normalise(subject) not in taken)


@lru_cache(maxsize=2)
def _index_packs(packs: tuple[tuple[str, Pack], ...]) -> PackIndex:
    # If several packs have a subject, it belongs to the first one.
    pack_of = dict(reversed([(item, number) for number, (_, pack) in enumerate(packs) for item in pack.subjects]))
    groups = list_phrases(packs)
    phrases = [phrase for group in groups for phrase in group]
    with np.load(VECTORS_FILE) as file:
        known = _add_vectors(phrases, dict(zip(file["phrases"].tolist(), file["vectors"], strict=True)))
    vectors, encoded = _stack(known, phrases), {subject: known[subject] for subject in groups[0]}
    mean = vectors[: len(encoded)].mean(axis=0)
    ends = np.cumsum([len(group) for group in groups])
    subjects, *fields, kinds = np.split(normalise_rows(vectors - mean), ends[:-1])
    return PackIndex(
        tuple(name for name, _ in packs),
        tuple(encoded),
        np.array([pack_of[subject] for subject in encoded]),
        tuple(tuple(f" {normalise(kind)}{end} " for kind in row for end in ("", "s")) for row in _list_kinds(packs)),
        subjects,
        normalise_rows(np.stack([rows.mean(axis=0) for rows in fields])),
        kinds,
        encoded,
        mean,
    )


def _list_kinds(packs: Collection[tuple[str, Pack]]) -> list[tuple[str, ...]]:
    """List the kinds of text of each pack; none for the fallback, because its kinds are common to all fields."""
    return [() if name == FALLBACK_PACK else pack.kinds for name, pack in packs]


def _add_vectors(texts: Sequence[str], known: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return the known vectors and the vectors of all other texts, in units of ``1 / UNITS``."""
    others = tuple(text for text in texts if text not in known)
    return {**known, **dict(zip(others, np.rint(_encode_once(others) * UNITS), strict=True))}


def _stack(known: Mapping[str, np.ndarray], texts: Sequence[str]) -> Vectors:
    stacked: Vectors = np.reshape([known[text] for text in texts], (len(texts), DIMENSIONS)) / UNITS
    return stacked


@lru_cache(maxsize=64)
def _encode_once(texts: tuple[str, ...]) -> Vectors:
    """Encode the texts about a model, cached: they are placed twice each for its draft and its plan."""
    return encode(texts)


def _drop_kinds(index: PackIndex, names: list[str]) -> list[str]:
    """Drop the names with a nearness of ``MIN_KIND`` or more to a kind of text of a pack."""
    if not names or not len(index.kinds):
        return names
    nearest = (index.place(names) @ index.kinds.T).max(axis=1)
    return [name for name, kind in zip(names, nearest, strict=True) if kind < MIN_KIND]


def _deal(scores: np.ndarray) -> list[list[int]]:
    """Give each field in turn its best remaining subject, until each field has enough."""
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
        tuple(subject for subject, field in zip(proposed, nearest, strict=True) if field == number)
        for number in range(len(fields))
    ]


def _find_last_phrase(words: Sequence[str], function_words: Collection[str], language: str) -> list[str]:
    """Find the last run of content words that follows function words and has no verb."""
    groups = [(is_content, list(run)) for is_content, run in groupby(words, lambda w: w.lower() not in function_words)]
    for (_, before), (is_content, run) in reversed(list(pairwise(groups))):
        is_verb = not BEFORE_VERBS.isdisjoint(map(str.lower, before)) or (language == "de" and run[-1].islower())
        if is_content and not is_verb:
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
    def is_content_word(word: str) -> bool:
        return word.lower() not in FUNCTION_WORDS and re.search(r"[^\W\d_]", word) is not None

    for clause in regex.split(r"[^\w\s'’-]|\d+", text):
        for is_content, run in groupby(clause.split(), is_content_word):
            if is_content:
                yield [word if word.isupper() else word.lower() for word in run][:3]
