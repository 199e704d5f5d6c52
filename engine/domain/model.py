"""Define a model with its traits, brief, seeds and suites of expectations, as one frozen value."""

import hashlib
import heapq
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from engine.domain.definition import Brief, OwnScenarios, Pole, Question, Trait, TraitType
from engine.domain.unlabelled_texts import MAX_PLANNED, OwnTexts
from engine.errors import HandleError

SynthType = Literal["from_traits", "diversify", "enrich"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Pool = Literal["train", "eval"]
# Calls that go into a provider's batches: none, the first round's, or also those of further rounds and votes.
BatchMode = Literal["none", "first", "all"]
State = Literal["draft", "busy", "ready", "failed", "archived"]

POLES: tuple[Pole, Pole] = ("positive", "negative")
OTHER_POLE: Mapping[Pole, Pole] = {"positive": "negative", "negative": "positive"}
POLES_BY_QUALITY: Mapping[float, Pole] = {1.0: "positive", 0.0: "negative"}
# Traits defined by words and subjects, which may therefore legitimately separate their poles.
DEFINED_BY_WORDS: frozenset[TraitType] = frozenset({"topic", "claim"})
EFFORTS: tuple[str, ...] = get_args(Effort)
SYNTH_TYPES: tuple[str, ...] = get_args(SynthType)

# Labels of a trait without authored labels. They do not describe its poles.
DEFAULT_LABELS = ("Yes", "No")
MOST_PER_POLE = 1_000_000
# More seeds per pole change neither an axis nor the choice of subjects, and embedding them takes minutes.
MAX_SEEDS_PER_POLE = 2_000

# The platform's contract, section 1. At most 200 characters leave room for `handle=` in a file name of 255 bytes.
_SIDE = "[a-z0-9][a-z0-9-]*"
NAMESPACE_PATTERN = f"^{_SIDE}$"
HANDLE_PATTERN = rf"^{_SIDE}\.{_SIDE}$"
HANDLE_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Seed:
    """One authored label: a text with its quality in [0, 1] for one trait.

    ``place`` is its file and line; ``source_url`` is the page that the line names as the text's source.
    """

    trait: str
    text: str
    quality: float
    place: str = ""
    source_url: str | None = None

    @property
    def pole(self) -> Pole | None:
        """The pole for a quality of exactly 1.0 or 0.0; None in between."""
        return POLES_BY_QUALITY.get(self.quality)

    @property
    def sha256(self) -> str:
        """SHA-256 of the UTF-8 text, in hexadecimal."""
        return digest_text(self.text)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of the definition that is legal but not read here, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A synthesized sample that an earlier run attached or put into the held-out pool ``eval``."""

    trait: str
    text: str
    quality: float
    subject: str
    seed_sha256: str | None = None
    pair_id: str | None = None


@dataclass(frozen=True, slots=True)
class OwnSuite:
    """An authored suite of expectations that the gate runs in addition to its built-in suites.

    ``place`` is its file, for messages; ``content`` is the suite as canonical JSON, so that its digest changes only if
    the expectations do, not with the file's layout.
    """

    name: str
    place: str
    content: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return digest_text(self.content)

    @property
    def expectations(self) -> list[dict[str, Any]]:
        """The expectations, in the format of Great Expectations."""
        expectations: list[dict[str, Any]] = json.loads(self.content)["expectations"]
        return expectations

    def restrict(self, expectations: Sequence[Mapping[str, Any]]) -> "OwnSuite":
        """Return the suite with only the given expectations."""
        return replace(self, content=json.dumps({"name": self.name, "expectations": expectations}))


@dataclass(frozen=True, slots=True)
class Existing:
    """The samples that the store holds for a model, and the decisions of reviews, when they are read.

    ``attached`` and ``held_out`` are the samples of the pools ``train`` and ``eval``; ``…_digests`` are the digests of
    their sets, inputs of the plan id. ``stored_runs`` are the run ids of all these sets except ``replaces``: sets that
    are ignored, and removed when the new set is attached. ``proposed`` are the samples, in both pools, of sets that
    wait for a person's decision, ``proposed_digests`` the run ids and digests of these sets. ``refused`` are the texts
    that a person has refused, sorted; ``reviewed`` are texts that a person has accepted one by one, at the pole that
    the person chose.
    """

    attached: Collection[Attached] = ()
    attached_digests: tuple[str, ...] = ()
    held_out: Collection[Attached] = ()
    held_out_digests: tuple[str, ...] = ()
    proposed: Collection[Attached] = ()
    proposed_digests: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, ...] = ()
    reviewed: tuple[Seed, ...] = ()
    stored_runs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One standard of judgment: the author's definition, and the existing samples that earlier runs have stored.

    ``conflicting_labels`` are authored texts labelled with both poles of a trait; they count for neither. ``texts`` are
    the author's unlabelled texts. ``own_suites``, ``questions`` and ``allow``, the codes of the rejection rules that
    are switched off, decide which texts are kept, and do not change a plan. ``document`` is the text of ``model.yaml``.
    """

    handle: str
    traits: tuple[Trait, ...]
    description: str = ""
    effort: Effort | None = None
    language: str | None = None
    brief: Brief = field(default_factory=Brief)
    scenarios: OwnScenarios = field(default_factory=OwnScenarios)
    own_suites: tuple[OwnSuite, ...] = ()
    questions: tuple[Question, ...] = ()
    allow: tuple[str, ...] = ()
    seeds: tuple[Seed, ...] = ()
    conflicting_labels: tuple[Seed, ...] = ()
    texts: OwnTexts = field(default_factory=OwnTexts)
    skipped: tuple[Skipped, ...] = ()
    additional_terms: tuple[str, ...] = ()
    upstream_sources: tuple[str, ...] = ()
    existing: Existing = Existing()
    document: str = field(default="", repr=False, compare=False)
    _seeds_at: dict[tuple[str, Pole], tuple[Seed, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def trait(self, key: str) -> Trait:
        """Return the trait with that key."""
        return {trait.key: trait for trait in self.traits}[key]

    @property
    def poles(self) -> tuple[tuple[str, Pole], ...]:
        """Both poles of all traits, each with its trait's key."""
        return tuple((trait.key, pole) for trait in self.traits for pole in POLES)

    @property
    def authored(self) -> tuple[Seed, ...]:
        """All authored samples, conflicting ones too: no new text may resemble any of them."""
        return (*self.seeds, *self.conflicting_labels)

    def sample_seeds(self, count: int) -> tuple[Seed, ...]:
        """Return at most ``count`` seeds, spread evenly over the files."""
        return self.seeds[:: max(1, -(-len(self.seeds) // count))]

    def seeds_at(self, trait: str, pole: Pole) -> tuple[Seed, ...]:
        """Return the authored samples of one trait with exactly the quality of the pole.

        If there are more than ``MAX_SEEDS_PER_POLE``, return the ones with the lowest SHA-256.
        """
        if self.seeds and not self._seeds_at:
            # Cached, since prompts call this once per cell, and a model may have a hundred thousand seeds.
            groups: dict[tuple[str, Pole], list[Seed]] = {}
            for seed in self.seeds:
                if seed.pole:
                    groups.setdefault((seed.trait, seed.pole), []).append(seed)
            for key, group in groups.items():
                is_large = len(group) > MAX_SEEDS_PER_POLE
                drawn = heapq.nsmallest(MAX_SEEDS_PER_POLE, group, key=lambda seed: seed.sha256) if is_large else group
                self._seeds_at[key] = tuple(drawn)
        return self._seeds_at.get((trait, pole), ())

    def examples_at(self, trait: str, pole: Pole) -> tuple[Seed, ...]:
        """Return the seeds of ``seeds_at``, followed by the texts that a person accepted there in earlier reviews."""
        reviewed = (seed for seed in self.existing.reviewed if (seed.trait, seed.pole) == (trait, pole))
        return (*self.seeds_at(trait, pole), *reviewed)

    def draw_seeds(self) -> tuple[Seed, ...]:
        """Return all seeds between the poles, and the seeds at a pole that ``seeds_at`` draws."""
        if len(self.seeds) <= MAX_SEEDS_PER_POLE:
            return self.seeds
        drawn = {id(seed) for trait, pole in self.poles for seed in self.seeds_at(trait, pole)}
        return tuple(seed for seed in self.seeds if seed.pole is None or id(seed) in drawn)

    def without_stored(self) -> "Model":
        """Return the model without stored samples and with a part of its seeds and texts: few enough to be pickled."""
        texts = OwnTexts(self.texts.files, self.texts.drawn[:MAX_PLANNED])
        existing = replace(self.existing, attached=(), held_out=())
        return replace(self, seeds=self.draw_seeds(), texts=texts, existing=existing)


def check_handle(handle: str) -> str:
    """Return the handle if it is well formed.

    Raises:
        HandleError: it is not ``<namespace>.<name>`` of lower-case letters, digits and hyphens.
    """
    if is_handle(handle):
        return handle
    shown = handle if len(handle) <= 60 else f"{handle[:57]}… ({len(handle)} characters)"
    raise HandleError(
        f"{shown!r} is not a handle. A handle is <namespace>.<name>, each side lower-case letters, digits and '-', "
        f"starting with a letter or digit, {HANDLE_MAX_LENGTH} characters at most: u22a8.technical-writing"
    )


def is_handle(text: str) -> bool:
    """Return whether a text is a well-formed handle (the platform's contract, section 1)."""
    return len(text) <= HANDLE_MAX_LENGTH and re.fullmatch(HANDLE_PATTERN[1:-1], text) is not None


def digest_text(text: str) -> str:
    """Return the SHA-256 of the UTF-8 text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
