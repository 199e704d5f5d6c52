"""Validate models: report mistakes of form; if there are none, mistakes of meaning and in samples; then hints.

Hints are not mistakes and do not change the exit code.
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
    """Results for one model.

    Args:
        mistakes: mistakes in its files, each with its line.
        refusal: why the model cannot be used at all, if the cause is not a mistake in a line; otherwise "".
        exit_code: exit code of a command that ends with this result; 0 if there are no mistakes.
        skipped: legal parts that are not read here, and samples that count once or not at all.
        samples: number of authored labels; None if the model is invalid.
        unnamed: number of them in ``labelled.jsonl``, if no entry of ``sources`` names that file.
        texts: number of unlabelled texts.
        rules: the expectations of its author, and the expectations for all models.
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
        """Return whether the model has no mistakes and can be used."""
        return not self.mistakes and not self.refusal

    def __repr__(self) -> str:
        """Return a summary line, followed by a line for each mistake, rule, skipped part and hint."""
        counts = ["no mistakes" if self.is_valid else count_noun(len(self.mistakes), "mistake")]
        if self.samples is not None:
            origin = f" ({self.unnamed:,} of {LABELLED_FILE}, which needs no entry)" if self.unnamed else ""
            counts.append(count_noun(self.samples, "sample") + origin)
        others = {"unlabelled text": self.texts, "hint": len(self.hints)}
        counts += [count_noun(count, noun) for noun, count in others.items() if count]
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
    """Yield the result of each model; a model with mistakes does not stop the validation.

    Args:
        check_suites: returns the authored suites for a model's handle, or raises an error for invalid ones.
        embedder: None leaves out hints that need embedded samples.
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
    """Return a hint for each folder of a catalogue that may look like a model but is not one.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    known = set(list_handles(models_uri))
    message = f"it is no model: its name is no handle (<namespace>.<name>), or it has no {MODEL_FILE}"
    strays = [name for name in list_folders(models_uri) if name not in known and not name.startswith((".", "_"))]
    return [Hint("stray_folder", name, message) for name in strays]
