"""The work of ``exemplars validate``: checks models, prints what is wrong with them, and then hints."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engine.authoring.hint import Hint
from engine.authoring.validation import Hinting, Validation, choose_handles, list_strays, validate_models
from engine.definitions.effort import DEFAULT_EFFORT, load_level
from engine.errors import ExemplarsError
from engine.llm.embedded_models import choose_model, find_embedded, is_embedded
from engine.settings import Settings
from engine.text.embedding import SentenceEncoder
from engine.text.formatting import count_noun


def validate_catalogue(settings: Settings, handles: Sequence[str], with_hints: bool, as_json: bool) -> int:
    """Validates models and prints what is found, each model as soon as it is done; returns the exit code.

    Args:
        handles: those of the models; none for all.

    Raises:
        InputError: there are no models.
        StoreError: the catalogue cannot be listed.
    """
    models_uri = settings.locate(settings.models_uri)
    chosen = choose_handles(models_uri, handles)
    hinting = Hinting(_find_embedded_languages(settings), SentenceEncoder) if with_hints else None
    found = []
    for validation in validate_models(models_uri, chosen, hinting):
        found.append(validation)
        if not as_json:
            _show(validation)
    strays = [] if handles else list_strays(models_uri)
    if as_json:
        print(json.dumps(_describe(found, strays), ensure_ascii=False))
    else:
        for stray in strays:
            print(f"hint: {stray}")
        print(_summarise(found, len(strays)))
    return max(validation.exit_code for validation in found)


def _find_embedded_languages(settings: Settings) -> frozenset[str] | None:
    """Finds the languages of the embedded model that a run would ask, empty if not known; None for a hosted model."""
    try:
        place = settings.embedded_place
        level = load_level(
            settings.locate(settings.effort_file), DEFAULT_EFFORT, lambda names: choose_model(names, place)
        )
        name = settings.synth_model or level.synth_model
        if not is_embedded(name):
            return None
        listed = find_embedded(name, place).listed
    except ExemplarsError:
        # What is wrong there is told by whatever would run; here it only decides about hints.
        return frozenset()
    return listed.languages if listed else frozenset()


def _show(validation: Validation) -> None:
    counts = [count_noun(len(validation.mistakes), "mistake")] if validation.mistakes else []
    if validation.is_valid:
        counts = ["no mistakes", count_noun(validation.samples, "sample"), *_count_hints(validation)]
    print(f"{validation.handle}: {validation.refusal or ', '.join(counts)}")
    for mistake in validation.mistakes:
        print(f"  {mistake}")
    for skipped in validation.skipped:
        print(f"  skipped: {skipped.what} ({skipped.why})")
    for hint in validation.hints:
        print(f"  hint: {hint}")


def _count_hints(validation: Validation) -> list[str]:
    return [count_noun(len(validation.hints), "hint")] if validation.hints else []


def _summarise(found: Sequence[Validation], strays: int) -> str:
    wrong = sum(not validation.is_valid for validation in found)
    hints = sum(len(validation.hints) for validation in found) + strays
    said = ["no mistakes" if not wrong else f"{wrong:,} with mistakes", *([count_noun(hints, "hint")] if hints else [])]
    return f"{count_noun(len(found), 'model')}: {', '.join(said)}"


def _describe(found: Sequence[Validation], strays: Sequence[Hint]) -> dict[str, Any]:
    """Describes what was found for programs."""
    return {
        "models": [
            {
                "handle": validation.handle,
                "valid": validation.is_valid,
                "samples": validation.samples,
                "mistakes": [asdict(mistake) for mistake in validation.mistakes],
                "refusal": validation.refusal or None,
                "hints": [asdict(hint) for hint in validation.hints],
                "skipped": [asdict(skipped) for skipped in validation.skipped],
            }
            for validation in found
        ],
        "strays": [asdict(stray) for stray in strays],
        "valid": all(validation.is_valid for validation in found),
    }
