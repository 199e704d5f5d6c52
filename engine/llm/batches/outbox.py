"""The outbox, in the database of kept replies: calls to be made in batches, and the runs that wait for them."""

import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import Connection, RowMapping, TextClause, text

from engine.llm.batches.account import BatchAccount
from engine.llm.replies.changes import IN_BATCH, TINY_USD, CallStarted, SharedLimit, apply_changes
from engine.llm.replies.database import Database, read_rows
from engine.settings import DatabaseUrl

T = TypeVar("T")
State = Literal["waits", "sent", "done", "live", "refused"]

DAY_SECONDS = 86_400.0

# One transaction at a time changes the outbox; a file is locked as a whole. The number is arbitrary but unique.
LOCK_OUTBOX = text("SELECT pg_advisory_xact_lock(7236772)")
PUT_RUN = text(
    "INSERT INTO exemplars_batch_runs (run_id, plan_id, handle, effort, asked, inputs, parent, queued_at) VALUES "
    "(:run_id, :plan_id, :handle, :effort, :params, :inputs, :parent, :queued_at) "
    "ON CONFLICT (run_id) DO UPDATE SET queued_at = excluded.queued_at"
)
LIST_RUNS = (
    "SELECT run.run_id, run.plan_id, run.handle, run.effort, run.asked AS params, run.parent, run.queued_at, "
    "count(*) FILTER (WHERE line.state = 'waits') AS waits, count(*) FILTER (WHERE line.state = 'sent') AS sent, "
    "count(*) FILTER (WHERE line.state = 'done') AS done, count(*) FILTER (WHERE line.state = 'live') AS live, "
    "max(batch.created_at) FILTER (WHERE line.state = 'sent') AS sent_at FROM exemplars_batch_runs AS run "
    "LEFT JOIN exemplars_lines AS line ON line.plan_id = run.plan_id "
    "LEFT JOIN exemplars_batches AS batch ON batch.batch = line.batch{where} "
    "GROUP BY run.run_id ORDER BY run.queued_at, run.run_id"
)
READ_INPUTS = text("SELECT inputs FROM exemplars_batch_runs WHERE run_id = :run_id")
ADD_LINE = text(
    "INSERT INTO exemplars_lines (custom_id, plan_id, key, place, body, bytes, call, state, tries, queued_at) "
    "VALUES (:custom_id, :plan_id, :key, :place, :body, :bytes, :call, 'waits', 0, :queued_at)"
)
LIST_LINES = text(
    "SELECT line.key, line.state, coalesce(batch.said, '') FROM exemplars_lines AS line "
    "LEFT JOIN exemplars_batches AS batch ON batch.batch = line.batch WHERE line.plan_id = :plan_id"
)
SUM_LINES = text(
    "SELECT coalesce(sum(usd), 0.0) FROM exemplars_calls WHERE call IN "
    "(SELECT call FROM exemplars_lines WHERE plan_id = :plan_id AND state IN ('waits', 'sent'))"
)
COUNT_OPEN = text(
    "SELECT state, count(*) FROM exemplars_lines GROUP BY state "
    "UNION ALL SELECT 'batches', count(*) FROM exemplars_batches WHERE ended_at IS NULL"
)
END_RUN = text("DELETE FROM exemplars_batch_runs WHERE run_id = :run_id")
HAND_OVER = text("UPDATE exemplars_batch_runs SET run_id = :new WHERE run_id = :old")
# Delete lines that no run waits for: unsent lines with their calls, and ended lines.
DELETE_COLLECTED = (
    text(
        "DELETE FROM exemplars_calls WHERE call IN (SELECT call FROM exemplars_lines WHERE state = 'waits' "
        "AND plan_id NOT IN (SELECT plan_id FROM exemplars_batch_runs))"
    ),
    text(
        "DELETE FROM exemplars_lines WHERE state <> 'sent' "
        "AND plan_id NOT IN (SELECT plan_id FROM exemplars_batch_runs)"
    ),
)
LIST_BATCHES = text(
    "SELECT batch.*, count(*) FILTER (WHERE line.state = 'done') AS done, "
    "coalesce(sum(begun.usd), 0.0) AS ceiling_usd FROM exemplars_batches AS batch "
    "LEFT JOIN exemplars_lines AS line ON line.batch = batch.batch "
    "LEFT JOIN exemplars_calls AS begun ON begun.call = line.call "
    "GROUP BY batch.batch ORDER BY batch.intended_at, batch.batch"
)
CANCEL = text(
    "UPDATE exemplars_batches SET cancel_at = :now, next_poll_at = 0 "
    "WHERE batch = :batch AND ended_at IS NULL AND cancel_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """A request to be sent as a line of a batch.

    Args:
        key: the key under which its reply is stored.
        body: the request in the provider's form.
        ceiling_usd: its maximum cost at the batch price; None if the price is unknown.
    """

    key: str
    body: Mapping[str, Any]
    ceiling_usd: float | None


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A run that waits for its lines; the outbox sets the last six fields.

    Args:
        effort: the effort that it runs with; the one in ``params`` may be the model's default.
        params: the parameters of its flow.
        parent: the run id of its backfill.
        inputs: the job from which it plans when it resumes; only ``Outbox.read_inputs`` reads it.
        queued_at: when it last queued lines, in seconds since 1970.
        waits: number of its plan's unsent lines; ``sent``, ``done`` and ``live`` count the lines in these states.
        sent_at: when the last batch with some of its lines was created.
    """

    run_id: str
    plan_id: str
    handle: str
    effort: str
    params: Mapping[str, Any]
    parent: str | None = None
    inputs: bytes = b""
    queued_at: float = 0.0
    waits: int = 0
    sent: int = 0
    done: int = 0
    live: int = 0
    sent_at: float | None = None

    @property
    def is_ready(self) -> bool:
        """Return whether all of its lines have ended, so that it can resume."""
        return not self.waits and not self.sent

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of its lines in each state."""
        return {"waits": self.waits, "sent": self.sent, "done": self.done, "live": self.live}


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch; times are in seconds since 1970, None for events that have not happened.

    Args:
        batch: its key: the SHA-256 of its lines and their tries.
        place: its ``BatchAccount`` as JSON.
        remote_id: its id at the provider.
        lines: number of lines that it was sent with.
        created_at: when its create was sent. Without a ``remote_id`` it is unknown whether the provider accepted it.
        missed_at: when the provider's list first lacked it or, once it is complete, first had no file of its answers.
        cancel_at: when its cancellation was requested.
        said: the provider's last message about it.
        done: number of its lines with a reply, among those that runs still wait for.
        ceiling_usd: its maximum cost, or the actual cost of lines that have ended.
    """

    batch: str
    place: str
    remote_id: str | None
    lines: int
    intended_at: float
    created_at: float | None
    missed_at: float | None
    next_poll_at: float | None
    cancel_at: float | None
    ended_at: float | None
    said: str
    done: int
    ceiling_usd: float

    @property
    def state(self) -> Literal["intent", "created", "over"]:
        """Return the stage of the batch."""
        return "over" if self.ended_at is not None else "created" if self.remote_id else "intent"

    @property
    def until(self) -> float | None:
        """Return the deadline of the provider's answer."""
        return None if self.created_at is None else self.created_at + DAY_SECONDS


class Outbox(Database):
    """The outbox in a database of kept replies; any thread may use it until ``close``.

    Raises:
        StoreError: the database cannot be reached or written; every method raises it too.
    """

    def queue(
        self,
        run: BatchRun,
        account: BatchAccount,
        requests: Sequence[QueuedRequest],
        left_usd: float,
        limit: SharedLimit | None,
    ) -> int:
        """Record that a run waits, and queue a line for each request without one, in one transaction.

        Args:
            requests: in order; requests that exceed a limit are left out.
            left_usd: the rest of the run's own limit, not yet reduced by its open lines; infinite without a limit.
            limit: the limit that the run shares with others.

        Returns:
            The number of queued lines.
        """

        def act(connection: Connection) -> int:
            now = time.time()
            connection.execute(PUT_RUN, asdict(run) | {"params": json.dumps(run.params), "queued_at": now})
            known = {key for key, *_ in connection.execute(LIST_LINES, {"plan_id": run.plan_id})}
            new = [each for each in requests if each.key not in known]
            room_usd = left_usd - connection.execute(SUM_LINES, {"plan_id": run.plan_id}).scalar_one() + TINY_USD
            sums = accumulate(each.ceiling_usd or 0.0 for each in new)
            fitting = [each for each, sum_usd in zip(new, sums, strict=True) if sum_usd <= room_usd]
            calls = [
                CallStarted(secrets.randbits(62), run.plan_id, IN_BATCH, each.ceiling_usd, limit) for each in fitting
            ]
            outcomes = apply_changes(connection, calls)
            account_json = account.to_json()
            lines = [
                {
                    "custom_id": hashlib.sha256(f"{run.plan_id}\0{each.key}".encode()).hexdigest(),
                    "plan_id": run.plan_id,
                    "key": each.key,
                    "place": account_json,
                    "body": (body := json.dumps(each.body, ensure_ascii=False)),
                    "bytes": len(body.encode()),
                    "call": call.call,
                    "queued_at": now,
                }
                for call, each, refused in zip(calls, fitting, outcomes, strict=True)
                if refused is None
            ]
            if lines:
                connection.execute(ADD_LINE, lines)
            return len(lines)

        return self.change(act)

    def find_runs(self, /, **named: str) -> list[BatchRun]:
        """Return the waiting runs with the given values of columns, the oldest first."""
        statement = _find_runs(named)
        return self.read(lambda connection: [_make_run(row) for row in connection.execute(statement, named).mappings()])

    def read_inputs(self, run_id: str) -> bytes:
        """Return the inputs of a waiting run."""
        return bytes(self.read(lambda connection: connection.execute(READ_INPUTS, {"run_id": run_id}).scalar_one()))

    def list_lines(self, plan_id: str) -> dict[str, tuple[State, str]]:
        """Return the state of each line of a plan and the last message about its batch, by the key of its reply."""
        rows = self.read(lambda connection: connection.execute(LIST_LINES, {"plan_id": plan_id}).all())
        return {key: (state, message) for key, state, message in rows}

    def end(self, run_id: str) -> None:
        """End a run's wait: drop its unsent lines; replies to its sent lines are still stored."""

        def act(connection: Connection) -> None:
            connection.execute(END_RUN, {"run_id": run_id})
            collect_garbage(connection)

        self.change(act)

    def hand_over(self, old: str, new: str) -> None:
        """Let another run of the same plan, which does not wait yet, wait in place of a run."""
        self.change(lambda connection: connection.execute(HAND_OVER, {"old": old, "new": new}))

    def list_batches(self) -> list[BatchRow]:
        """Return the open batches and the batches that ended in the last seven days, the oldest first."""
        return self.read(lambda connection: [BatchRow(**row) for row in connection.execute(LIST_BATCHES).mappings()])

    def cancel(self, batch: str) -> None:
        """Request that the next pass ends a batch early; its unanswered calls are made live."""
        self.change(lambda connection: connection.execute(CANCEL, {"batch": batch, "now": time.time()}))

    def change(self, act: Callable[[Connection], T]) -> T:
        """Make a change in one transaction, while no other process changes the outbox."""

        def locked(connection: Connection) -> T:
            if connection.dialect.name == "postgresql":
                connection.execute(LOCK_OUTBOX)
            return act(connection)

        return super().change(locked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def list_awaited(place: DatabaseUrl, handle: str) -> list[BatchRun]:
    """Return the waiting runs of a model; none if the database does not exist. It is not created."""
    return [_make_run(row._mapping) for row in read_rows(place, _find_runs({"handle"}), handle=handle)]


def count_open(place: DatabaseUrl) -> Counter[str]:
    """Count the lines in each state and, as ``batches``, the open batches. The database is not created."""
    return Counter({str(state): int(count) for state, count in read_rows(place, COUNT_OPEN)})


def collect_garbage(connection: Connection) -> None:
    """Remove the lines that no run waits for, except sent lines."""
    for statement in DELETE_COLLECTED:
        connection.execute(statement)


def _find_runs(columns: Collection[str]) -> TextClause:
    where = " AND ".join(f"run.{name} = :{name}" for name in columns)
    return text(LIST_RUNS.format(where=f" WHERE {where}" if where else ""))


def _make_run(row: RowMapping) -> BatchRun:
    return BatchRun(**{**row, "params": json.loads(row["params"])})
