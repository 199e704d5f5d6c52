"""Decide for ``diversify`` which seeds are usable, which seed is next, and which variations are kept."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from engine.domain.definition import Length, Pole, Trait
from engine.domain.model import POLES, Model, Seed, Skipped
from engine.domain.samples import Exemplar
from engine.errors import NoSeedsError
from engine.store.index.samples import as_stored
from engine.text.embedding import Vectors
from engine.text.stylometry import MAX_LENGTH, MIN_LENGTH, find_drift, measure_shared_content, measure_spreads
from engine.text.words import count_words

# A quality this near to a pole is clear enough for that pole's label (from the issue that requested diversify).
NEGATIVE_MAX, POSITIVE_MIN = 0.25, 0.75
# The rules reject texts with fewer words, and such texts have no voice to keep.
MIN_SEED_WORDS = 5
# In a variation's scenario, this replaces the audience, form and length, which are the seed's.
AS_SEED = "as its seed"

# The key for counting the uses of a seed: trait key, pole and digest of the seed's text.
SeedKey = tuple[str, Pole, str]


def check_seeds(model: Model) -> None:
    """Check that every trait has seeds to vary at both poles.

    Raises:
        NoSeedsError: the model has no seeds, or has none at some pole of a trait; the message names all such poles.
    """
    if not model.seeds:
        raise NoSeedsError(
            f"{model.handle} has no authored samples to vary. Name a source of them in its model.yaml, or ask for "
            f"'from_traits', which needs none{_describe_conflicts(model)}"
        )
    if missing := find_seedless(model.traits, model.seeds):
        names = "; ".join(f"{trait.key}, {pole} ({trait.label(pole)})" for trait, pole in missing)
        raise NoSeedsError(
            f"{model.handle} has no authored samples to vary for {names}. Both poles of every trait need one, with a "
            f"quality of {NEGATIVE_MAX:g} at most or {POSITIVE_MIN:g} at least and {MIN_SEED_WORDS} words"
            f"{_describe_conflicts(model)}"
        )


def _describe_conflicts(model: Model) -> str:
    places = [seed.place or repr(seed.text[:40]) for seed in model.conflicting_labels[:4]]
    return f". Texts labelled for both poles are not used: {', '.join(places)}" if places else ""


def find_seedless(traits: Iterable[Trait], seeds: Iterable[Seed]) -> list[tuple[Trait, Pole]]:
    """Find the traits and poles without a seed to vary. Stop reading ``seeds`` when every pole has one."""
    missing = {(trait.key, pole): (trait, pole) for trait in traits for pole in POLES}
    for seed in seeds:
        if pole := find_usable_pole(seed):
            missing.pop((seed.trait, pole), None)
        if not missing:
            break
    return [*missing.values()]


def find_usable_pole(seed: Seed) -> Pole | None:
    """Return the clear pole of a seed; None for a seed between the poles, or too short to have a voice."""
    return find_seed_pole(seed) if count_words(seed.text) >= MIN_SEED_WORDS else None


def list_unusable_seeds(model: Model) -> tuple[Skipped, ...]:
    """List the seeds that are not varied, each with its location and the reason."""
    return tuple(
        Skipped(
            f"seed {seed.place or repr(seed.text[:40])} for {seed.trait}",
            f"it has fewer than {MIN_SEED_WORDS} words, so it is not varied"
            if find_seed_pole(seed)
            else f"its quality {seed.quality:g} is near neither pole, so it is not varied",
        )
        for seed in model.seeds
        if find_usable_pole(seed) is None
    )


def find_seed_pole(seed: Seed) -> Pole | None:
    """Return the pole within .25 of a seed's quality; None in between."""
    if seed.quality <= NEGATIVE_MAX:
        return "negative"
    return "positive" if seed.quality >= POSITIVE_MIN else None


def list_usable_seeds(model: Model, trait: str, pole: Pole) -> tuple[Seed, ...]:
    """List the usable seeds of one trait and pole, in the authors' order, each text once."""
    usable = {
        seed.sha256: seed for seed in reversed(model.seeds) if seed.trait == trait and find_usable_pole(seed) == pole
    }
    return tuple(reversed(usable.values()))


def bound_variation_length(seed: Seed) -> Length:
    """Return the permitted range of words for a variation of a seed."""
    words = count_words(seed.text)
    return Length(name=AS_SEED, min_words=max(1, round(MIN_LENGTH * words)), max_words=round(MAX_LENGTH * words))


def count_seed_uses(model: Model, chosen: Iterable[Exemplar] = ()) -> Counter[SeedKey]:
    """Count the variations of each seed, attached by earlier runs or chosen now."""
    uses = Counter[SeedKey]((item.trait, item.pole, item.seed_sha256) for item in chosen if item.seed_sha256)
    for (trait, quality, seed), count in as_stored(model.existing.attached).count_variations().items():
        uses[trait, "positive" if quality == 1.0 else "negative", seed] += count
    return uses


class SeedRotation:
    """Rotation through the seeds of each pole: next is the seed with the fewest kept variations, then fewest cells.

    Among equals, seeds that do not mention the subject come first. Then the authors' order decides, because in it the
    texts of the two poles often belong together.

    Args:
        kept: the uses of each seed in chosen or attached variations.
        planned: the uses of each seed in planned cells.
        cells_a_kept: the expected number of cells of this round for one kept variation. For each such number of cells,
            a seed counts as having one more kept variation.
    """

    def __init__(
        self, model: Model, kept: Mapping[SeedKey, int], planned: Mapping[SeedKey, int], cells_a_kept: float
    ) -> None:
        self._kept = kept
        self._this_round: Counter[SeedKey] = Counter()
        self._cells_a_kept = max(1.0, cells_a_kept)
        self._seeds = {place: list_usable_seeds(model, *place) for place in model.poles}
        self._planned = Counter(planned)

    def take(self, trait: Trait, poles: Sequence[Pole], subject: str) -> dict[Pole, Seed]:
        """Pick the seed to vary with this subject at each pole, and count it as planned."""
        taken = {}
        for pole in poles:
            if seeds := self._seeds[trait.key, pole]:
                taken[pole] = min(seeds, key=lambda seed: self._rank(make_seed_key(seed, pole), seed, subject))
                self._planned[make_seed_key(taken[pole], pole)] += 1
                self._this_round[make_seed_key(taken[pole], pole)] += 1
        return taken

    def _rank(self, key: SeedKey, seed: Seed, subject: str) -> tuple[int, int, bool]:
        expected = self._kept.get(key, 0) + int(self._this_round[key] / self._cells_a_kept)
        return expected, self._planned[key], measure_shared_content(subject, seed.text) > 0


def make_seed_key(seed: Seed, pole: Pole) -> SeedKey:
    """Return the key for counting a seed's uses."""
    return seed.trait, pole, seed.sha256


def pick_evenly(
    groups: Sequence[Sequence[Exemplar]], quotas: Mapping[Pole, int], model: Model, trait: str
) -> list[tuple[Exemplar, ...]]:
    """Pick groups of variations so that all seeds are used equally often.

    A seed is used again only when every seed of its pole was used as often, attached variations included. Among the
    seeds for the next use, the seeds with the fewest uses in this run come first, so that the run by itself is even
    too.

    Args:
        groups: in order of preference, each a pair or a single exemplar. An exemplar may be in several groups, but at
            most one of these is picked.
        quotas: the maximum number of exemplars to pick, by pole.
    """
    uses, uses_in_run = count_seed_uses(model), Counter[SeedKey]()
    seeds = {pole: [make_seed_key(seed, pole) for seed in list_usable_seeds(model, trait, pole)] for pole in POLES}
    left = dict(quotas)
    waiting = [(tuple(group), _keys(group), {exemplar.key for exemplar in group}) for group in groups]
    picked: list[tuple[Exemplar, ...]] = []
    while True:
        due = {key for pole in POLES if left[pole] for key in _list_least_used(seeds[pole], uses)}
        eligible = [item for item in waiting if item[1] <= due]
        if not eligible:
            return picked
        group, keys, taken = min(eligible, key=lambda item: sum(uses_in_run[key] for key in item[1]))
        picked.append(group)
        waiting = [item for item in waiting if not item[2] & taken]
        for key in keys:
            uses[key] += 1
            uses_in_run[key] += 1
            left[key[1]] -= 1


class VoiceCheck:
    """Comparison of variations with their seeds. Differences are measured in the spreads of each pole's seeds."""

    def __init__(self, model: Model, language: str = "en") -> None:
        self._language = language
        self._seeds: dict[SeedKey, Seed] = {}
        self._spreads: dict[tuple[str, Pole], Vectors] = {}
        for trait, pole in model.poles:
            seeds = list_usable_seeds(model, trait, pole)
            self._seeds |= {make_seed_key(seed, pole): seed for seed in seeds}
            self._spreads[trait, pole] = measure_spreads([seed.text for seed in seeds], language)

    def find_drift(self, exemplar: Exemplar) -> str | None:
        """Describe how an exemplar departs from its seed's voice; None if it keeps the voice, or has no usable seed."""
        seed = self._seeds.get((exemplar.trait, exemplar.pole, exemplar.seed_sha256 or ""))
        if seed is None or exemplar.text is None:
            return None
        drift = find_drift(seed.text, exemplar.text, self._spreads[exemplar.trait, exemplar.pole], self._language)
        return f"{drift}. The seed: {seed.text[:80]}" if drift else None


def _list_least_used(keys: Sequence[SeedKey], uses: Mapping[SeedKey, int]) -> list[SeedKey]:
    least = min((uses[key] for key in keys), default=0)
    return [key for key in keys if uses[key] == least]


def _keys(group: Iterable[Exemplar]) -> set[SeedKey]:
    return {(exemplar.trait, exemplar.pole, exemplar.seed_sha256 or "") for exemplar in group}
