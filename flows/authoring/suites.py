"""Check the expectations of authors, those for all models and those for one, while a model is validated."""

from collections.abc import Sequence

from engine.definitions.own_suites import read_own_suites
from engine.domain.model import OwnSuite
from engine.settings import Settings


def check_suites(settings: Settings, handle: str) -> Sequence[OwnSuite]:
    """The suites that a model's runs are held against, once they are right.

    Raises:
        DefinitionError: one is not. InputError, StoreError: as ``read_own_suites``.
    """
    suites = read_own_suites(settings, handle)
    if suites:
        # Great Expectations and pandas take seconds.
        from expectations.own_suites import check_own_suites

        check_own_suites(suites)
    return suites
