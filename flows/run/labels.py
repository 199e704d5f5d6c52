"""Tags and labels of a flow run in Prefect. They tell the HTTP API and other runs which model the run works on.

A tag names the model. Labels, which the UI does not show, name the lease that the run holds or held, and its process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

FLOW = "synthesize"
REVIEW = "review"
# In the last line of a failed run's message, before a path on the machine that it ran on.
KEPT = "The rejected rows and the report are kept"
AGAIN = "The replies so far are kept: a new run of this model asks only for what is missing."
# The name of the cancelled state of a backfill that reached its limit on cost, and of the runs that it stopped.
STOPPED_AT_LIMIT = "Stopped at its limit"
# Prefect's prefix for the message of a run that raised an error; the error's class and a colon follow it.
RAISED = "Flow run encountered an exception: "
LIVE_TYPES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")
# The name of the state of a paused run without a process.
SUSPENDED = "Suspended"
# The tag of runs that the HTTP API started: its chain of idempotency keys uses only these runs.
HTTP_TAG = "http"
# The tag of a run that is a part of another backfill.
PART = "part"
# SQLite's json_array takes 127 arguments, which is what Prefect makes of a list of tags.
TAGS_AT_ONCE = 50

_LEASE = "exemplars.lease"
_LEASED_AT = "exemplars.leased_at"
_PROCESS = "exemplars.process"


@dataclass(frozen=True, slots=True)
class LeaseLabels:
    """The labels of a run that holds or held a lease; ``lease_id`` is empty once the lease was released."""

    lease_id: str
    leased_at: datetime
    process: str

    def released(self) -> "LeaseLabels":
        """Return the labels of the same run after it has released the lease."""
        return replace(self, lease_id="")

    def to_labels(self) -> dict[str, str]:
        """Return the labels by name, as Prefect stores them."""
        return {_LEASE: self.lease_id, _LEASED_AT: self.leased_at.isoformat(), _PROCESS: self.process}


# The labels of a run that asked for the lease and never held it.
NO_LEASE_LABELS: Mapping[str, str] = {_LEASE: "", _LEASED_AT: ""}


def name_tag(handle: str) -> str:
    """Return the tag of all runs of a model."""
    return f"model:{handle}"


def read_lease_labels(labels: Mapping[str, object]) -> LeaseLabels | None:
    """Return the labels of a run that holds or held its model's lease; None if it never held it.

    Anybody may write labels, so unreadable labels count as none.
    """
    try:
        moment = datetime.fromisoformat(str(labels[_LEASED_AT])).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
    return LeaseLabels(str(labels.get(_LEASE, "")), moment, str(labels.get(_PROCESS, "")))
