"""Checks the expectations of authors, those for all models and those for one, while models are validated."""

from collections.abc import Sequence

from engine.authoring.validation import Validation, describe_refusal
from engine.definitions.own_suites import join_suites, read_catalogue_suites, read_model_suite
from engine.definitions.row_rules import describe_rules
from engine.domain.model import OwnSuite
from engine.errors import ExemplarsError
from engine.settings import Settings


def check_suites(models_uri: str, shared: Sequence[OwnSuite], handle: str) -> Sequence[OwnSuite]:
    """Returns a model's own suite, once it is right by itself and beside those for all models.

    Raises:
        DefinitionError: it is not.
    """
    own = read_model_suite(models_uri, handle)
    _check(join_suites(shared, own))
    return own


def validate_shared_suites(settings: Settings) -> tuple[Sequence[OwnSuite], Validation]:
    """Returns the suites that hold for all models, none where some are wrong, and what is wrong with them."""
    place = settings.locate(settings.expectations_uri)
    try:
        _check(suites := read_catalogue_suites(settings))
    except ExemplarsError as error:
        return (), describe_refusal(place, error)
    return suites, Validation(place, rules=describe_rules(suites))


def _check(suites: Sequence[OwnSuite]) -> None:
    if suites:
        # Great Expectations and pandas take seconds.
        from expectations.own_suites import check_own_suites

        check_own_suites(suites)
