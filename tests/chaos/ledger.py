"""The ledger: one line of JSON for each call that a provider has seen, written when the call has ended for it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["cell", "subjects", "vote"]
ANSWERED = "answered"
# The client went away before it had its answer.
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Entry:
    """One call. ``fate`` is ``answered``, a fault, or ``gone``; ``begun`` and ``ended`` are seconds since the epoch.

    ``sent`` is the digest of the prompt, ``digest`` that of the prompt without the words that may stand in for its
    schema: a row's ``prompt_sha256`` is one of the two. ``text_sha256`` is the content's. A call is billed when its
    whole answer was sent.
    """

    number: int
    begun: float
    ended: float
    digest: str
    sent: str
    kind: Kind
    attempt: int
    fate: str
    billed: bool
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    text_sha256: str = ""

    def dump(self) -> str:
        """The entry as a line."""
        return json.dumps(asdict(self)) + "\n"


def read_ledger(path: Path) -> list[Entry]:
    """The entries so far; what is being written at this moment is not among them."""
    return list(_read(path)) if path.exists() else []


def _read(path: Path) -> Iterator[Entry]:
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield Entry(**json.loads(line))
