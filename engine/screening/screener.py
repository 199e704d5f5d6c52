"""Screen the exemplars of a round with the rules and against earlier texts; each is accepted or gets a reason.

Accepted texts are then compared by meaning with each other and with the seeds, which requires their vectors.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.asking.held_out import find_overlaps, list_other_pools, restrict_to_pool
from engine.asking.plan import Plan
from engine.asking.prompts import FOLDER as PROMPTS_FOLDER
from engine.asking.seed_variations import VoiceCheck
from engine.domain.definition import Length
from engine.domain.model import Model
from engine.domain.samples import Exemplar, Reason
from engine.rules.faults import MIN_WORDS, Context
from engine.rules.label_leaks import collect_own_words
from engine.rules.patterns import list_waived_patterns
from engine.rules.rules import RULES, apply_rules
from engine.screening.recurring import FirstWords, SeedPhrases
from engine.store.index.samples import as_stored
from engine.store.index.search import MemoryTexts, find_nearest
from engine.text.embedding import Embedder, Vectors
from engine.text.near_duplicates import NEAR, Match, NearTexts, choose_nearest, hash_form
from engine.text.words import ends_sentence

# From this share of seeds with a terminal mark, texts of the trait are expected to have one.
MARKED_SHARE = 0.9
# From these cosines, a text has the meaning of a seed, or of another text. None of 1,692 pairs of seeds of one pole has
# more than .56. Of 159,600 pairs of two candidates' posts, 25 reach the first and 15 the second, nearly all of them
# announcements of one kind (docs/decisions/004-screening.md).
SAME_AS_SEED, SAME_AS_OTHER = 0.75, 0.8
# Number of rows to multiply at once: 2,500 texts of a pole took .07 s in blocks, and 1.05 s row by row.
MEANING_BLOCK = 256
_NUMBER = re.compile(r"\d+")


class Screener:
    """Screening of exemplars in cell order. It stores accepted texts, so the first of several duplicates is kept.

    ``apply_rules`` applies the rules for single texts; it can be pickled.

    Args:
        use_lengths: whether each text is checked against the length of its scenario, or only against all lengths.
    """

    def __init__(self, plan: Plan, use_lengths: bool) -> None:
        model = plan.model
        self.apply_rules = partial(apply_rules, _make_contexts(plan, use_lengths))
        self._allowed = model.allow
        self._voice_check = VoiceCheck(model, plan.language.tag)
        self._first_words = FirstWords(model)
        self._phrases = SeedPhrases(model, plan.quotas, plan.language.tag)
        self._accepted = NearTexts()
        self._other_pools = list_other_pools(model, plan.synth_type)
        self._unlabelled_texts = model.texts
        self._seeds, self._refused, self._drawn = (
            MemoryTexts(texts)
            for texts in ([seed.text for seed in model.authored], model.existing.refused, model.texts.drawn)
        )
        for known in (self._seeds, self._refused, self._drawn):
            # Computed here once, because it takes a second for 20,000 texts.
            list(known.walk_hashes("signature"))
        list(self._seeds.walk_hashes("runs"))
        self._attached = as_stored(restrict_to_pool(model, plan.synth_type).existing.attached).texts
        self._proposed = as_stored(model.existing.proposed).texts

    def screen(self, exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        """Return the exemplars in cell order, each accepted or rejected with a reason."""
        return self.compare(self.apply_rules(exemplars))

    def compare(self, exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        """Return the same result as ``screen``, for exemplars to which the rules were applied."""
        ordered = sorted(exemplars, key=lambda item: (item.order, item.number))
        self._first_words.add(ordered)
        # Search for all texts at once, because each search reads the hashes of the whole pool.
        texts = list(dict.fromkeys(item.text for item in ordered if item.text is not None and item.is_accepted))
        attached, proposed = find_nearest(texts, self._attached), find_nearest(texts, self._proposed)
        unlabelled = {text: Match(text, 1.0) for text in texts if self._unlabelled_texts.has(hash_form(text))}
        matches: dict[Reason, Mapping[str, Match]] = {
            "seed_copy": find_overlaps(texts, [self._seeds], NEAR),
            "refused_before": find_nearest(texts, self._refused),
            "held_out_overlap": find_overlaps(texts, self._other_pools) | find_nearest(texts, self._drawn) | unlabelled,
            "near_duplicate": {
                text: match for text in texts if (match := choose_nearest(attached.get(text), proposed.get(text)))
            },
        }
        return [self._compare(item, matches) for item in ordered]

    def _compare(self, exemplar: Exemplar, matches: Mapping[Reason, Mapping[str, Match]]) -> Exemplar:
        if exemplar.text is None or not exemplar.is_accepted:
            return exemplar
        details = self._find_details(exemplar, exemplar.text, matches)
        for rule in RULES:
            if rule.code in details and rule.code not in self._allowed:
                return replace(exemplar, reason=rule.code, detail=details[rule.code])
        self._accepted.add(exemplar.text)
        self._phrases.add(exemplar)
        return exemplar

    def _find_details(
        self, exemplar: Exemplar, text: str, matches: Mapping[Reason, Mapping[str, Match]]
    ) -> Mapping[Reason, str]:
        """Return the details of an exemplar's faults in comparison with other texts, by rule."""
        of_text = {reason: by_text.get(text) for reason, by_text in matches.items()}
        details: dict[Reason, str] = {
            reason: match.detail for reason, match in of_text.items() if match and reason != "near_duplicate"
        }
        if opening := self._first_words.find(exemplar):
            details["meta_talk"] = opening
        if phrase := self._phrases.find(exemplar):
            copied = f"“{phrase}”, from a single seed, is already in as many texts of its pole as allowed"
            details.setdefault("seed_copy", copied)
        if drift := self._voice_check.find_drift(exemplar):
            details["voice_drift"] = drift
        if match := choose_nearest(of_text["near_duplicate"], self._accepted.find(text)):
            details["duplicate" if match.exact else "near_duplicate"] = match.detail
        return details


def mask_numbers(text: str) -> str:
    """Replace each number by 1: a seed with another number is still the seed (without this, cosines of .80 and .82)."""
    return _NUMBER.sub("1", text)


def reject_same_meanings(
    model: Model, new: Sequence[Exemplar], earlier: Sequence[Exemplar], embedder: Embedder
) -> list[Exemplar]:
    """Return the new exemplars in order, and reject those with the meaning of a seed or of an earlier exemplar.

    Args:
        earlier: the exemplars of earlier rounds; only the accepted ones count.
    """
    rejected: dict[str, Exemplar] = {}
    for trait, pole in model.poles:
        before, added = (
            [item for item in items if item.is_accepted and (item.trait, item.pole) == (trait, pole)]
            for items in (earlier, new)
        )
        seeds = [seed.text for seed in model.seeds_at(trait, pole)]
        texts = [*seeds, *(item.text or "" for item in (*before, *added))]
        vectors, first = embedder.embed(list(map(mask_numbers, texts))), len(seeds) + len(before)
        limits = np.where(np.arange(len(texts)) < len(seeds), SAME_AS_SEED, SAME_AS_OTHER)
        for number, nearest, cosine in _find_same(vectors, limits, first):
            reason: Reason = "seed_copy" if nearest < len(seeds) else "near_duplicate"
            detail = f"means the same (cosine {cosine:.2f}) as: {texts[nearest]}"
            item = added[number - first]
            rejected[item.key] = replace(item, reason=reason, detail=detail)
    return [rejected.get(item.key, item) for item in new]


def _find_same(vectors: Vectors, limits: NDArray[np.float64], first: int) -> Iterator[tuple[int, int, float]]:
    """Find the rows, from row ``first``, with a cosine to an earlier kept row that reaches the kept row's limit.

    Yields:
        The row, the kept row with the largest excess over its limit, and their cosine. All other rows are kept.
    """
    is_kept = np.arange(len(vectors)) < first
    for start in range(first, len(vectors), MEANING_BLOCK):
        end = min(start + MEANING_BLOCK, len(vectors))
        cosines = vectors[start:end] @ vectors[:end].T
        for number, row in enumerate(cosines, start):
            excess = np.where(is_kept[:end], row - limits[:end], -1.0)
            nearest = int(np.argmax(excess))
            is_kept[number] = excess[nearest] < 0
            if not is_kept[number]:
                yield number, nearest, float(row[nearest])


def _make_contexts(plan: Plan, use_lengths: bool) -> dict[str, Context]:
    """Return the context of the rules for each trait. The subject differs by exemplar.

    The length covers all lengths of the model, for a writer that does not know its scenario's length.
    """
    model, lengths = plan.model, plan.scenario_pool.lengths
    shortest, longest = min(item.min_words for item in lengths), max(item.max_words for item in lengths)
    waived = list_waived_patterns(model, plan.scenario_pool.forms)
    instructions = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PROMPTS_FOLDER.glob("*.jinja")))
    seeds = {trait.key: [seed.text for seed in model.seeds if seed.trait == trait.key] for trait in model.traits}
    return {
        trait.key: Context(
            trait=trait,
            length=Length("any", shortest, longest),
            subject="",
            instructions=instructions,
            language=plan.language.tag,
            ends_marked=sum(map(ends_sentence, seeds[trait.key])) >= max(1, MARKED_SHARE * len(seeds[trait.key])),
            own_words=collect_own_words(model, trait, plan.language.tag),
            waived=waived,
            allowed=model.allow,
            min_words=min(MIN_WORDS, shortest),
            lengths={length.name: length for length in lengths} if use_lengths else {},
        )
        for trait in model.traits
    }
