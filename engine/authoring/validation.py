"""Validates models: every mistake of form or, where there is none, of meaning and samples; and then hints.

Hints are no mistakes, and change no exit code.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.authoring.answers import EXAMPLE
from engine.authoring.hint import Examined, Hint
from engine.authoring.pole_hints import list_pole_hints
from engine.authoring.scenario_hints import list_scenario_hints
from engine.authoring.seed_hints import list_seed_hints, list_side_hints
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import MISNAMED_FILE, MODEL_FILE, list_handles, load_model, locate_model
from engine.definitions.repeated_seeds import settle_seeds
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import Model, Skipped, is_handle
from engine.errors import DefinitionError, ExemplarsError, InputError, Problem
from engine.system.filesystem import list_folders, read_inside
from engine.text.embedding import Embedder
from engine.text.language import decide_language

# More of one kind are counted, and not named one by one.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found in one model.

    Args:
        mistakes: of the files, each with its line.
        refusal: why the model cannot be used at all, where that is no mistake of a line; "" where it can.
        exit_code: that of a command that ends with it: 0 where there are no mistakes.
        skipped: what is legal and not read here.
        samples: the number of authored labels.
    """

    handle: str
    mistakes: tuple[Problem, ...] = ()
    refusal: str = ""
    exit_code: int = 0
    hints: tuple[Hint, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    samples: int = 0

    @property
    def is_valid(self) -> bool:
        """Whether there are no mistakes."""
        return not self.mistakes and not self.refusal


@dataclass(frozen=True, slots=True)
class Hinting:
    """What hints are looked for with.

    Args:
        embedded: the languages that the embedded model writes which a run would ask, by code, empty where that is not
            known; None where a run asks a hosted model.
        load_embedder: makes the sentence encoder, called for the first model that it knows the language of; None leaves
            out what it would say.
    """

    embedded: Collection[str] | None = ("en",)
    load_embedder: Callable[[], Embedder] | None = None


def validate_models(
    models_uri: str,
    handles: Sequence[str],
    hinting: Hinting | None = None,
    check_suites: Callable[[str], None] = lambda _: None,
) -> Iterator[Validation]:
    """Validates models one by one; one that has mistakes does not stop the others.

    Args:
        hinting: None looks for mistakes alone.
        check_suites: raises what is wrong with the expectations that a model's author wrote, given its handle.
    """
    embedder: Embedder | None = None
    for handle in handles:
        try:
            model = load_valid(models_uri, handle)
            check_suites(handle)
        except ExemplarsError as error:
            yield describe_refusal(handle, error)
            continue
        hints: tuple[Hint, ...] = ()
        if hinting is not None:
            examined = _examine(models_uri, model)
            if embedder is None and hinting.load_embedder is not None and _can_be_placed(examined):
                embedder = hinting.load_embedder()
            hints = tuple(_limit(_list_hints(examined, model, hinting, embedder)))
        yield Validation(handle, hints=hints, skipped=model.skipped, samples=len(model.seeds))


def describe_refusal(name: str, error: ExemplarsError) -> Validation:
    """Describes why what was validated cannot be used: its mistakes, or else what the error says."""
    mistakes = error.problems if isinstance(error, DefinitionError) else ()
    return Validation(name, tuple(mistakes), "" if mistakes else str(error), error.exit_code)


def load_valid(models_uri: str, handle: str) -> Model:
    """Loads all that a run reads of a model's folder.

    Raises:
        DefinitionError: there are mistakes; the error carries all of them.
        HandleError, NoTraitsError: there is no such model, or nothing to synthesize from.
        StoreError: the folder cannot be read.
    """
    model = load_model(models_uri, handle)
    read_lifecycle(models_uri, handle)
    return model


def list_strays(models_uri: str) -> list[Hint]:
    """Lists the folders of a catalogue that are no models, though somebody may take them for some.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    known = set(list_handles(models_uri))
    strays = []
    for name in list_folders(models_uri):
        if name in known or name.startswith((".", "_")):
            continue
        if is_handle(name):
            said = f"it has no {MODEL_FILE}, so it is no model; one that is called {MISNAMED_FILE} is not read"
        else:
            said = "its name is no handle (<namespace>.<name>, lower-case letters, digits and '-'), so it is no model"
        strays.append(Hint("stray_folder", name, said))
    return strays


def choose_handles(models_uri: str, named: Sequence[str]) -> list[str]:
    """Returns the handles that are named, each once, or those of all models where none is.

    Raises:
        InputError: there are no models.
        StoreError: the catalogue cannot be read.
    """
    handles = list(dict.fromkeys(named)) or list_handles(models_uri)
    if not handles:
        raise InputError(f"There are no models in {models_uri}. 'exemplars new HANDLE' begins one")
    return handles


def _examine(models_uri: str, model: Model) -> Examined:
    settled = settle_seeds(model)
    content = read_inside(locate_model(models_uri, model.handle), MODEL_FILE)
    return Examined(settled, parse_yaml(f"{model.handle}/{MODEL_FILE}", content), decide_language(settled))


def _can_be_placed(examined: Examined) -> bool:
    """Whether there are seeds in a language that the encoder knows."""
    return bool(examined.model.seeds) and examined.language.encoder_has_say


def _list_hints(examined: Examined, model: Model, hinting: Hinting, embedder: Embedder | None) -> Iterator[Hint]:
    yield from _find_example(examined)
    yield from list_pole_hints(examined)
    yield from _find_unwritten_language(examined, hinting.embedded)
    embedded = hinting.embedded
    writes = embedded is not None and (not embedded or examined.language.code in embedded)
    yield from list_scenario_hints(examined, load_packs(SCENARIOS_FOLDER), writes and hinting.load_embedder is not None)
    yield from list_seed_hints(examined, model.seeds, writes)
    if _can_be_placed(examined) and embedder is not None:
        yield from list_side_hints(examined, embedder)
    elif examined.model.seeds and not examined.language.encoder_has_say:
        name = examined.language.name
        said = f"the sentence encoder does not know {name}, so nobody has looked which side the samples read as"
        yield Hint("not_looked_at", examined.locate("language"), said)


def _limit(hints: Iterable[Hint]) -> Iterator[Hint]:
    """Yields the first hints of each kind, and counts the others at the end."""
    named: Counter[str] = Counter()
    more: dict[str, Hint] = {}
    for hint in hints:
        named[hint.kind] += 1
        if named[hint.kind] <= MOST_NAMED:
            yield hint
        else:
            more.setdefault(hint.kind, hint)
    for kind, first in more.items():
        yield replace(first, message=f"from here on {named[kind] - MOST_NAMED:,} more of the kind {kind}", trait=None)


def _find_example(examined: Examined) -> Iterator[Hint]:
    """Finds a trait that `exemplars new` has written as an example."""
    for index, trait in examined.walk_traits():
        if trait.description == EXAMPLE.description and trait.key == EXAMPLE.key:
            said = "this is still the example of `exemplars new`. Write your own trait in its place"
            yield Hint("example_left", examined.locate("traits", index), said, trait.key)


def _find_unwritten_language(examined: Examined, embedded: Collection[str] | None) -> Iterator[Hint]:
    language = examined.language
    if embedded and language.code not in embedded:
        said = (
            f"the texts are to be in {language.name} ({language.why}), which the embedded model does not write. Name a "
            "hosted one that does in EXEMPLARS_SYNTH_MODEL"
        )
        yield Hint("language_not_written", examined.locate("language"), said)
