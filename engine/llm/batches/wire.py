"""What a provider of batches takes and gives, whichever form its API has."""

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

from engine.llm.client.prices import Price
from engine.llm.client.request import Reply

Form = Literal["openai", "anthropic"]
# A provider takes 50,000 lines and 200 MB in one file (OpenAI), or 100,000 and 256 MB (Anthropic).
MOST_LINES, MOST_BYTES = 50_000, 190_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where lines go: a batch has lines of one place.

    Args:
        model: litellm's name of the model, with its provider.
        settings: the prefix of the environment variables that set the model.
        key_digest: the first 16 hexadecimal digits of the SHA-256 of the API key; empty where there is none.
        price: of a call in a batch; None where it is unknown.
    """

    form: Form
    model: str
    api_base: str | None
    settings: str
    key_digest: str
    price: Price | None = None

    def to_json(self) -> str:
        """The place as it stands in the database; two lines of one place have the same."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, written: str) -> Self:
        """The place that ``to_json`` has written."""
        told = json.loads(written)
        return cls(**{**told, "price": Price(**told["price"]) if told["price"] else None})


@dataclass(frozen=True, slots=True)
class Line:
    """One call of a batch: ``custom_id`` is the SHA-256 of plan id and reply key, ``body`` what the provider takes."""

    custom_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as its provider tells of it.

    ``works`` covers all that is not over; ``ended`` that there are answers to read, though perhaps not of all lines
    (it may have expired or been cancelled); ``refused`` that it failed as a whole, for the reason ``said``.
    """

    remote_id: str
    state: Literal["works", "ended", "refused"]
    said: str = ""
    counts: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one line: a reply, a refusal of the prompt being one too; or what went wrong.

    ``may_pass`` says that the same line may succeed later: 429, 5xx, expired, cancelled, or an answer that cannot be
    read.
    """

    custom_id: str
    reply: Reply | None = None
    may_pass: bool = False
    said: str = ""


class Wire(Protocol):
    """A provider's API for batches, for one place; no method makes a request a second time by itself.

    Every method raises ``ProviderError`` and its kinds. ``maybe_billed`` of an error says that the request may have
    been accepted all the same: a connection that broke, a time-out, a 5xx.
    """

    async def upload(self, key: str, lines: Sequence[Line]) -> str | None:
        """The id of an uploaded file that is named by the key; None where the form has no files."""

    async def create(self, key: str, file_id: str | None, lines: Sequence[Line]) -> str:
        """The provider's id of the batch that is created, with the key in its metadata where it has any."""

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """The provider's id of the batch of this key; None where a whole reading of its list does not show it.

        Args:
            tried_at: when its create was sent, in seconds since 1970.
            ids: the ``custom_id`` of each of its lines, by which a batch is told apart where a provider keeps no key.
            taken: ids of batches that are known to be others.
        """

    async def look(self, remote_id: str) -> RemoteBatch:
        """How far a batch is."""

    def read(self, remote_id: str) -> AsyncIterator[Answer]:
        """What came of its lines, in any order; of a line that the provider leaves out nothing is said."""

    async def cancel(self, remote_id: str) -> None:
        """Has it end early; what was answered until then can be read, and is paid for."""

    async def close(self) -> None:
        """Closes the connections."""
