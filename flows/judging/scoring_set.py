"""What ``exemplars test`` and ``exemplars score`` hold texts against: a model's attached samples with their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.definitions.loader import load_model
from engine.definitions.mistakes import find_near_spelling
from engine.domain.language_tag import name_tag
from engine.domain.model import MAX_SEEDS_PER_POLE, Attached, Model, Seed, Trait
from engine.errors import InputError
from engine.judging.real_texts import Labelled, draw_at_poles
from engine.settings import Settings
from engine.store.earlier.rows import read_attached
from engine.store.store import list_sets
from engine.text.embedding import ENCODER_LANGUAGES, Embedder, SentenceEncoder
from engine.text.formatting import join_words
from engine.text.language import decide_language, detect_language

STDIN = "-"
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class ScoringSet:
    """A model with its attached samples, and those of its traits that are meant."""

    model: Model
    traits: tuple[Trait, ...]
    embedder: Embedder = field(default_factory=SentenceEncoder)


def load_scoring_set(settings: Settings, handle: str, wanted: str | None) -> ScoringSet:
    """Loads a model and what is attached to it.

    Args:
        wanted: the key or the name of the one trait that is meant; None for all.

    Raises:
        InputError: there is no such model or trait, nothing is attached, or the encoder does not know the language.
        StoreError: the samples cannot be read.
    """
    model = load_model(settings.locate(settings.models_uri), handle)
    traits = model.traits if wanted is None else (_find_trait(model, wanted),)
    language = decide_language(model)
    if not language.encoder_has_say:
        raise _refuse_language(f"The texts of {handle} are in {language.name} ({language.why})")
    samples_uri = settings.locate(settings.samples_uri)
    attached = read_attached(list_sets(samples_uri, handle, "train"))
    if not {sample.trait for sample in attached} & {trait.key for trait in traits}:
        raise InputError(
            f"{handle} has no attached samples{f' for {traits[0].key}' if wanted else ''} in {samples_uri}. Make some "
            f"with 'exemplars synthesize {handle}', or set EXEMPLARS_SAMPLES_URI to the store that has them"
        )
    return ScoringSet(replace(model, attached=attached), traits)


def draw_attached(scoring: ScoringSet, trait: Trait) -> list[Attached]:
    """Draws the attached samples at a trait's poles; where there are very many, as many as seeds are drawn."""
    own = [sample for sample in scoring.model.attached if sample.trait == trait.key]
    return draw_at_poles(own, MAX_SEEDS_PER_POLE)


def label_texts(scoring: ScoringSet, items: Sequence[Seed | Attached]) -> Labelled:
    """Embeds texts that lie at the poles."""
    vectors = scoring.embedder.embed([item.text for item in items])
    return Labelled(vectors, [item.quality == 1.0 for item in items])


def ask_for_samples(scoring: ScoringSet, trait: Trait) -> str:
    """Says that a trait has too few attached samples, and what to do."""
    handle = scoring.model.handle
    return f"{handle} has no attached samples at both poles of {trait.key}. 'exemplars synthesize {handle}' makes some"


def check_language(texts: Sequence[str], what: str) -> None:
    """Checks that the encoder knows the language of texts, where it is certain which that is."""
    code = detect_language(texts)
    if code is not None and code not in ENCODER_LANGUAGES:
        raise _refuse_language(f"{what} in {name_tag(code)}")


def _find_trait(model: Model, wanted: str) -> Trait:
    """Finds a trait by its key or, if there is none, by its name."""
    for trait in (*(item for item in model.traits if item.key == wanted), *model.traits):
        if wanted in (trait.key, trait.name):
            return trait
    keys = [trait.key for trait in model.traits]
    near = find_near_spelling(wanted, keys)
    hint = f" Did you mean {near!r}?" if near else ""
    raise InputError(f"{model.handle} has no trait {wanted!r}. It has: {', '.join(keys)}.{hint}")


def _refuse_language(found: str) -> InputError:
    known = join_words(sorted(name_tag(code) for code in ENCODER_LANGUAGES))
    return InputError(
        f"{found}. The offline encoder does not know that language, so it cannot place texts in it. It knows {known}"
    )
