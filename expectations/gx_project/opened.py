"""The gate's own expectations and its reading of results, for Great Expectations.

It imports this module when a project is opened: ``great_expectations.yml`` names it as the home of the store of suites.
"""

from typing import Any

from great_expectations.checkpoint.checkpoint import CheckpointResult
from great_expectations.data_context.store.expectations_store import ExpectationsStore as BaseStore

from engine.domain.verdict import Verdict
from expectations import classes, variety
from expectations.results import COUNT, join_outcomes, read_outcome

# Their import has registered the expectations.
REGISTERED = (classes, variety)


class ExpectationsStore(BaseStore):
    """Great Expectations' own store of suites."""


def read_verdict(result: CheckpointResult) -> Verdict:
    """Reads what a checkpoint has found as the gate does: a warning that is not met does not fail it.

    Returns:
        ``success``; ``failed`` and ``warnings``, a sentence each; ``results`` and ``suites``, by checkpoint and asset.
    """
    counts = {
        item.suite.name: item.suite.meta.get(COUNT, 0) for item in result.checkpoint_config.validation_definitions
    }
    outcomes = []
    for found in result.run_results.values():
        # Great Expectations has no type for it.
        document: dict[str, Any] = found.to_json_dict()  # type: ignore[no-untyped-call]
        name = f"{result.name}: {found.asset_name}"
        outcomes.append(read_outcome(name, max(counts.get(found.suite_name, 0), len(document["results"])), document))
    return join_outcomes(outcomes)
