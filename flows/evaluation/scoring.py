"""Implement ``exemplars score``, which scores a text on each trait's axis; ``test`` shares its loading."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from rich.text import Text

from engine.axis.breaks import MIN_TEXTS
from engine.axis.separation import name_group
from engine.definitions.loader import load_model
from engine.domain.definition import Trait
from engine.domain.language_tag import name_tag
from engine.domain.model import MAX_SEEDS_PER_POLE, Attached, Existing, Model, Seed
from engine.errors import InputError
from engine.evaluation.real_texts import MAX_CHARACTERS, Placement, draw_at_poles, place_texts
from engine.settings import Settings
from engine.store.index.rows import read_attached
from engine.store.store import list_sets
from engine.text.embedding import ENCODER_LANGUAGES, Embedder, SentenceEncoder, Vectors
from engine.text.formatting import join_words
from engine.text.language import decide_language, detect_language
from flows.cli.console import make_console, make_table
from flows.cli.options import STDIN

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class ScoringSet:
    """A model with its attached samples, and the selected traits."""

    model: Model
    traits: tuple[Trait, ...]
    embedder: Embedder = field(default_factory=SentenceEncoder)

    @property
    def only(self) -> Trait | None:
        """Return the selected trait; None if there are several."""
        return self.traits[0] if len(self.traits) == 1 else None

    def draw(self, trait: Trait) -> list[Attached]:
        """Return the attached samples at a trait's poles, at most ``MAX_SEEDS_PER_POLE`` at each."""
        samples = [sample for sample in self.model.existing.attached if sample.trait == trait.key]
        return draw_at_poles(samples, MAX_SEEDS_PER_POLE)

    def embed(self, items: Sequence[Seed | Attached]) -> tuple[Vectors, list[bool]]:
        """Return the vectors of texts at the poles, and for each whether it is at the positive pole."""
        return self.embedder.embed([item.text for item in items]), [item.quality == 1.0 for item in items]

    def ask_for_samples(self, trait: Trait) -> str:
        """Explain that a trait has too few attached samples, and what to do."""
        finding = f"{self.model.handle} has no attached samples at both poles of {trait.key}"
        return f"{finding}. 'exemplars synthesize {self.model.handle}' makes some"


def load_scoring_set(settings: Settings, handle: str, trait: str | None) -> ScoringSet:
    """Load a model and its attached samples.

    Args:
        trait: the key or the name of the one selected trait; None for all.

    Raises:
        InputError: there is no such model or trait, or the encoder does not support the language.
        StoreError: the samples cannot be read.
    """
    model = load_model(settings.models_uri, handle)
    traits = model.traits if trait is None else (_find_trait(model, trait),)
    language = decide_language(model)
    if not language.encoder_supports_language:
        raise _refuse_language(f"The texts of {handle} are in {language.name} ({language.why})")
    attached = read_attached(list_sets(settings.samples_uri, handle, "train"))
    return ScoringSet(replace(model, existing=Existing(attached=attached)), traits)


def check_language(texts: Sequence[str], what: str) -> None:
    """Check that the encoder supports the language of texts, if the language is certain."""
    code = detect_language(texts)
    if code is not None and code not in ENCODER_LANGUAGES:
        raise _refuse_language(f"{what} in {name_tag(code)}")


def place_on_axes(scoring: ScoringSet, texts: Sequence[str]) -> dict[str, list[Placement]]:
    """Score texts, at least one, on the axis of each trait that has samples at both poles, by trait key.

    Raises:
        InputError: a text cannot be scored, or there are no samples to score it by.
    """
    stripped = [text.strip() for text in texts]
    for number, text in enumerate(stripped, 1):
        name = "The text" if len(stripped) == 1 else f"Text {number:,}"
        if not text:
            raise InputError(f"{name} is empty. Give at least a sentence")
        if len(text) > MAX_CHARACTERS:
            raise InputError(f"{name} is longer than {MAX_CHARACTERS:,} characters. Give a part of it")
    check_language(stripped, "The text is" if len(stripped) == 1 else "The texts are")
    vectors = scoring.embedder.embed(stripped)
    placements = {}
    for trait in scoring.traits:
        drawn = scoring.draw(trait)
        samples, positive = scoring.embed(drawn)
        if any(positive) and not all(positive):
            groups = [name_group(sample.pair_id, sample.seed_sha256, sample.text) for sample in drawn]
            placements[trait.key] = place_texts(samples, positive, groups, vectors)
    if not placements:
        raise InputError(". ".join(scoring.ask_for_samples(trait) for trait in scoring.traits))
    return placements


def show_placements(scoring: ScoringSet, placements: Mapping[str, Placement], as_json: bool = False) -> None:
    """Print the scores and grades of a text on the axis of each trait."""
    if as_json:
        placed = [{"trait": key, "leans_to": item.side, **asdict(item)} for key, item in placements.items()]
        print(json.dumps({"handle": scoring.model.handle, "traits": placed}))
        return
    console = make_console()
    table = make_table("trait", "score", "leans to", "grade", "confidence")
    for key, item in placements.items():
        lean = scoring.model.trait(key).label(item.side) if item.side else "neither pole"
        band, confidence = (item.grade.band, item.grade.confidence) if item.grade else (None, None)
        table.add_row(*map(Text, (key, f"{item.score:+.3f}", lean, band or NOTHING, confidence or NOTHING)))
    console.print(table)
    for key, item in placements.items():
        if (breaks := item.breaks) is None:
            grades = f"no grade, since a pole has fewer than {MIN_TEXTS} attached samples"
        elif breaks.overlap:
            grades = "no grade, since the attached samples of the two poles overlap"
        else:
            ends = {"developing": breaks.developing, "solid": breaks.solid, "strong": breaks.strong}
            grades = ", ".join(f"{name} from {score:+.3f}" for name, score in ends.items())
        console.print(Text(f"{key}: {grades}"))
    console.print("Scores are differences of cosines; 0 is the middle between the poles")


def _find_trait(model: Model, name: str) -> Trait:
    by_key, by_name = ({getattr(trait, field): trait for trait in model.traits} for field in ("key", "name"))
    if trait := by_key.get(name) or by_name.get(name):
        return trait
    raise InputError(f"{model.handle} has no trait {name!r}. It has: {', '.join(by_key)}")


def _refuse_language(finding: str) -> InputError:
    known = join_words(sorted(name_tag(code) for code in ENCODER_LANGUAGES))
    return InputError(
        f"{finding}. The offline encoder does not know that language, so it cannot place texts in it. It knows {known}"
    )


def read_text(text: str) -> str:
    """Return the text argument of a command; for ``-``, the text on standard input.

    Raises:
        InputError: it is not UTF-8.
    """
    if text != STDIN:
        return text
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("The text on standard input is not UTF-8. Write it as UTF-8") from None
