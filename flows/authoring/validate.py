"""The work of ``exemplars validate``: checks models and authors' expectations, prints mistakes, and then hints."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engine.authoring.hints import Hint
from engine.authoring.validation import Validation, describe_refusal, list_strays, validate_models
from engine.definitions.loader import list_handles
from engine.definitions.own_suites import join_suites, read_catalogue_suites, read_model_suite
from engine.domain.suites import OwnSuite
from engine.errors import ExemplarsError, InputError
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
    chosen = list(dict.fromkeys(handles)) or list_handles(models_uri)
    if not chosen:
        raise InputError(f"There are no models in {models_uri}. 'exemplars new HANDLE' begins one")
    suites, shared = _validate_shared_suites(settings)

    def check_suites(handle: str) -> None:
        _check(join_suites(suites, read_model_suite(models_uri, handle)))

    if not as_json and not shared.is_valid:
        _show(shared)
    found = []
    for validation in validate_models(models_uri, chosen, check_suites, with_hints, SentenceEncoder()):
        found.append(validation)
        if not as_json:
            _show(validation)
    strays = [] if handles else list_strays(models_uri)
    if as_json:
        print(json.dumps(_describe(found, shared, strays)))
    else:
        for stray in strays:
            print(f"hint: {stray}")
        print(_summarise(found, shared, len(strays)))
    return max(validation.exit_code for validation in (shared, *found))


def _validate_shared_suites(settings: Settings) -> tuple[Sequence[OwnSuite], Validation]:
    """Returns the suites that hold for all models, none where some are wrong, and what is wrong with them."""
    place = settings.locate(settings.expectations_uri)
    try:
        _check(suites := read_catalogue_suites(settings))
    except ExemplarsError as error:
        return (), describe_refusal(place, error)
    return suites, Validation(place)


def _check(suites: Sequence[OwnSuite]) -> None:
    if suites:
        # Great Expectations and pandas take seconds.
        from expectations.own_suites import check_own_suites

        check_own_suites(suites)


def _show(validation: Validation) -> None:
    if validation.is_valid:
        counts = ["no mistakes", count_noun(validation.samples, "sample")]
        counts += [count_noun(len(validation.hints), "hint")] if validation.hints else []
    else:
        counts = [count_noun(len(validation.mistakes), "mistake")]
    print(f"{validation.handle}: {validation.refusal or ', '.join(counts)}")
    for mistake in validation.mistakes:
        print(f"  {mistake}")
    for skipped in validation.skipped:
        print(f"  skipped: {skipped.what} ({skipped.why})")
    for hint in validation.hints:
        print(f"  hint: {hint}")


def _summarise(found: Sequence[Validation], shared: Validation, strays: int) -> str:
    wrong = sum(not validation.is_valid for validation in found)
    hints = sum(len(validation.hints) for validation in found) + strays
    said = [
        "no mistakes" if not wrong else f"{wrong:,} with mistakes",
        *([] if shared.is_valid else ["mistakes in the catalogue's expectations"]),
        *([count_noun(hints, "hint")] if hints else []),
    ]
    return f"{count_noun(len(found), 'model')}: {', '.join(said)}"


def _describe(found: Sequence[Validation], shared: Validation, strays: Sequence[Hint]) -> dict[str, Any]:
    """Describes what was found for programs."""
    return {
        "expectations": _describe_one(shared),
        "models": [_describe_one(validation) for validation in found],
        "strays": [asdict(stray) for stray in strays],
        "valid": all(validation.is_valid for validation in (shared, *found)),
    }


def _describe_one(validation: Validation) -> dict[str, Any]:
    return {**asdict(validation), "valid": validation.is_valid, "refusal": validation.refusal or None}
