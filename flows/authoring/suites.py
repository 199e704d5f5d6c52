"""Check authored expectations, for all models and for one, while a model is validated."""

from collections.abc import Sequence

from engine.definitions.own_suites import read_own_suites
from engine.domain.model import OwnSuite
from engine.settings import Settings


def check_suites(settings: Settings, handle: str) -> Sequence[OwnSuite]:
    """Return the valid authored suites that a model's runs must pass.

    Raises:
        DefinitionError: a suite is invalid. InputError, StoreError: as ``read_own_suites``.
    """
    suites = read_own_suites(settings, handle)
    if suites:
        # Great Expectations and pandas take seconds.
        from expectations.own_suites import check_own_suites

        check_own_suites(suites)
    return suites
