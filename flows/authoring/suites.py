"""Checks the expectations of authors, those for all models and those for one, while models are validated."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.authoring.validation import Validation, describe_refusal
from engine.definitions.own_suites import join_suites, read_catalogue_suites, read_model_suite
from engine.definitions.row_rules import describe_rules
from engine.domain.model import OwnSuite
from engine.errors import ExemplarsError
from engine.settings import Settings


@dataclass(frozen=True, slots=True)
class SuiteCheck:
    """Checks a model's own suite together with those for all models, ``shared``."""

    models_uri: str
    shared: Sequence[OwnSuite] = ()

    def __call__(self, handle: str) -> Sequence[OwnSuite]:
        """Returns the model's own suite.

        Raises:
            DefinitionError: it is wrong, by itself or beside the others.
        """
        own = read_model_suite(self.models_uri, handle)
        _check(join_suites(self.shared, own))
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
