"""Kept replies: every finished reply of a plan on disk, before anything is made of it, so that none is paid twice."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import StoreError


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. ``finish`` is the provider's word (``stop``, ``length``, ``content_filter``).

    ``odds`` maps the likeliest next tokens to their log probabilities, where they were asked for. ``cost_usd`` is None
    where the price is not known.
    """

    text: str
    finish: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    odds: dict[str, float] | None = None


class KeptReplies:
    """The replies of one plan, in ``<cache>/<plan_id>/replies.sqlite``; several processes may share it.

    A reply is committed when ``keep`` returns: SQLite's write-ahead log survives the death of the process. Open it
    with ``with``; errors of the disk are ``StoreError``.
    """

    def __init__(self, cache_dir: str, plan_id: str) -> None:
        self.path = Path(cache_dir) / plan_id / "replies.sqlite"
        self._lock = threading.Lock()
        with self._translate():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key, if there is one."""
        with self._translate(), self._lock:
            row = self._connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return Reply(**json.loads(row[0])) if row else None

    def keep(self, key: str, reply: Reply) -> Reply:
        """Keeps a reply and returns the one that stands: the first, where two processes asked the same."""
        text = json.dumps(asdict(reply), ensure_ascii=False)
        with self._translate(), self._lock:
            self._connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, text))
        return self.find(key) or reply

    def close(self) -> None:
        """Closes the file; what was kept stays."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The replies cannot be kept in {self.path}: {error}. Free space or point EXEMPLARS_CACHE_DIR at a "
                "folder that can be written; what was kept before stays"
            ) from error
