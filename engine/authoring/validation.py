"""Validate models: every mistake of form or, where there is none, of meaning and samples; and then hints.

Hints are no mistakes, and change no exit code.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.authoring.hints import Hint, list_hints
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import MODEL_FILE, list_handles, load_model, load_outline
from engine.definitions.outline import LABELLED_FILE
from engine.definitions.row_rules import Rule, describe_rules
from engine.domain.model import OwnSuite, Skipped
from engine.errors import DefinitionError, ExemplarsError, Problem
from engine.system.filesystem import list_folders
from engine.text.embedding import Embedder
from engine.text.formatting import count_noun


@dataclass(frozen=True, slots=True, repr=False)
class Validation:
    """What was found in one model.

    Args:
        mistakes: of the files, each with its line.
        refusal: why the model cannot be used at all, where that is no mistake of a line; "" where it can.
        exit_code: that of a command that ends with it: 0 where there are no mistakes.
        skipped: what is legal and not read here, and samples that count once or not at all.
        samples: the number of authored labels; None where there can be none.
        unnamed: how many of them are in ``labelled.jsonl``, which no entry of ``sources`` names.
        texts: the number of unlabelled texts.
        rules: the expectations of its author, and those for all models.
    """

    handle: str
    mistakes: tuple[Problem, ...] = ()
    refusal: str = ""
    exit_code: int = 0
    hints: tuple[Hint, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    samples: int | None = None
    unnamed: int = 0
    texts: int = 0
    rules: tuple[Rule, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether there are no mistakes."""
        return not self.mistakes and not self.refusal

    def __repr__(self) -> str:
        """A line that says how it stands, and one for each thing that was found."""
        counts = ["no mistakes" if self.is_valid else count_noun(len(self.mistakes), "mistake")]
        if self.samples is not None:
            own = f" ({self.unnamed:,} of {LABELLED_FILE}, which needs no entry)" if self.unnamed else ""
            counts.append(count_noun(self.samples, "sample") + own)
        found = {"unlabelled text": self.texts, "hint": len(self.hints)}
        counts += [count_noun(count, noun) for noun, count in found.items() if count]
        lines = [
            *(str(mistake) for mistake in self.mistakes),
            *(f"rule: {rule}" for rule in self.rules),
            *(f"skipped: {skipped.what} ({skipped.why})" for skipped in self.skipped),
            *(f"hint: {hint}" for hint in self.hints),
        ]
        return "\n  ".join([f"{self.handle}: {self.refusal or ', '.join(counts)}", *lines])


def validate_models(
    models_uri: str,
    handles: Sequence[str],
    check_suites: Callable[[str], Sequence[OwnSuite]],
    with_hints: bool = True,
    embedder: Embedder | None = None,
) -> Iterator[Validation]:
    """Validate models one by one; one that has mistakes does not stop the others.

    Args:
        check_suites: gives the suites that hold for a model, given its handle, or raises what is wrong with them.
        embedder: None leaves out the hints for which samples would be embedded.
    """
    for handle in handles:
        try:
            model = load_model(models_uri, handle)
            read_lifecycle(models_uri, handle)
            rules = describe_rules(check_suites(handle))
        except ExemplarsError as error:
            mistakes = tuple(error.problems) if isinstance(error, DefinitionError) else ()
            yield Validation(handle, mistakes, "" if mistakes else str(error), error.exit_code)
            continue
        hints = tuple(list_hints(model, embedder)) if with_hints else ()
        is_named = LABELLED_FILE in load_outline(models_uri, handle).name_files()
        unnamed = (
            [] if is_named else [seed for seed in model.seeds if seed.place.startswith(f"{handle}/{LABELLED_FILE}:")]
        )
        yield Validation(
            handle,
            hints=hints,
            skipped=model.skipped,
            samples=len(model.seeds),
            unnamed=len(unnamed),
            texts=sum(file.texts for file in model.texts.files),
            rules=rules,
        )


def list_strays(models_uri: str) -> list[Hint]:
    """List the folders of a catalogue that are no models, though somebody may take them for some.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    known = set(list_handles(models_uri))
    said = f"it is no model: its name is no handle (<namespace>.<name>), or it has no {MODEL_FILE}"
    strays = [name for name in list_folders(models_uri) if name not in known and not name.startswith((".", "_"))]
    return [Hint("stray_folder", name, said) for name in strays]
