"""The outbox: calls that a provider's batch is to bring, and the runs that wait for them, beside the kept replies."""

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

# One transaction at a time changes the outbox; a file is locked as a whole. Any number that nobody else locks by.
LOCK_OUTBOX = text("SELECT pg_advisory_xact_lock(7236772)")
PUT_RUN = text(
    "INSERT INTO exemplars_batch_runs (run_id, plan_id, handle, effort, asked, inputs, parent, queued_at) VALUES "
    "(:run_id, :plan_id, :handle, :effort, :asked, :inputs, :parent, :queued_at) "
    "ON CONFLICT (run_id) DO UPDATE SET queued_at = excluded.queued_at"
)
LIST_RUNS = (
    "SELECT run.run_id, run.plan_id, run.handle, run.effort, run.asked, run.parent, run.queued_at, "
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
# What no run waits for: lines that have not been sent, with their calls, and those that have ended.
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
    """A request that a line is to bring the reply to.

    Args:
        key: what its reply is kept under.
        body: what the provider takes.
        ceiling_usd: the most that it can cost at the price of a batch; None where nobody knows.
    """

    key: str
    body: Mapping[str, Any]
    ceiling_usd: float | None


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A run that waits for its lines; the outbox sets the last six.

    Args:
        effort: the one that it takes, while that which was asked for may be the model's own.
        asked: the parameters of its flow.
        parent: the run id of its backfill.
        inputs: the job that it plans from when it goes on; ``Outbox.read_inputs`` alone reads them.
        queued_at: when it last queued lines, in seconds since 1970.
        waits: how many of its plan's lines are not sent; ``sent``, ``done`` and ``live`` how many are in that state.
        sent_at: when the last batch was created that lines of it are in.
    """

    run_id: str
    plan_id: str
    handle: str
    effort: str
    asked: Mapping[str, Any]
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
        """Whether its lines have all ended, so that it can go on."""
        return not self.waits and not self.sent

    @property
    def counts(self) -> dict[str, int]:
        """How many of its lines are in each state."""
        return {"waits": self.waits, "sent": self.sent, "done": self.done, "live": self.live}


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch; times are in seconds since 1970, None for what has not happened.

    Args:
        batch: its key: the SHA-256 of its lines and their tries.
        place: ``BatchAccount`` as JSON.
        remote_id: the provider's id of it.
        lines: how many it was sent with.
        created_at: when its create was sent. With no ``remote_id`` nobody knows whether the provider took it.
        missed_at: when the provider's list did not show it for the first time; once it is over, its file of answers.
        cancel_at: when somebody asked for its end.
        said: what its provider last said of it.
        done: how many of its lines have brought a reply, as far as their runs still wait.
        ceiling_usd: what it may cost at most, or has cost where its lines have ended.
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
        """How far it is."""
        return "over" if self.ended_at is not None else "created" if self.remote_id else "intent"

    @property
    def until(self) -> float | None:
        """When its provider has answered it at the latest."""
        return None if self.created_at is None else self.created_at + DAY_SECONDS


class Outbox(Database):
    """The outbox of a database of kept replies; used by any thread until ``close``.

    Raises:
        StoreError: the database cannot be reached or written; every method raises it too.
    """

    def queue(
        self,
        run: BatchRun,
        place: BatchAccount,
        asked: Sequence[QueuedRequest],
        left_usd: float,
        limit: SharedLimit | None,
    ) -> int:
        """Notes that a run waits, and queues a line for each request that has none, all of it or nothing.

        Args:
            asked: in order; those that do not fit into a limit are left out.
            left_usd: what is left of the run's own limit, without the lines that are out; infinite without a limit.
            limit: what the run shares with others.

        Returns:
            How many lines were queued.
        """

        def act(connection: Connection) -> int:
            now = time.time()
            connection.execute(PUT_RUN, asdict(run) | {"asked": json.dumps(run.asked), "queued_at": now})
            known = {key for key, *_ in connection.execute(LIST_LINES, {"plan_id": run.plan_id})}
            new = [each for each in asked if each.key not in known]
            room_usd = left_usd - connection.execute(SUM_LINES, {"plan_id": run.plan_id}).scalar_one() + TINY_USD
            sums = accumulate(each.ceiling_usd or 0.0 for each in new)
            fitting = [each for each, sum_usd in zip(new, sums, strict=True) if sum_usd <= room_usd]
            calls = [
                CallStarted(secrets.randbits(62), run.plan_id, IN_BATCH, each.ceiling_usd, limit) for each in fitting
            ]
            outcomes = apply_changes(connection, calls)
            where = place.to_json()
            lines = [
                {
                    "custom_id": hashlib.sha256(f"{run.plan_id}\0{each.key}".encode()).hexdigest(),
                    "plan_id": run.plan_id,
                    "key": each.key,
                    "place": where,
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
        """The runs that wait, the first first; those whose columns are as named."""
        statement = _find_runs(named)
        return self.read(lambda connection: [_make_run(row) for row in connection.execute(statement, named).mappings()])

    def read_inputs(self, run_id: str) -> bytes:
        """The inputs of a run that waits."""
        return bytes(self.read(lambda connection: connection.execute(READ_INPUTS, {"run_id": run_id}).scalar_one()))

    def list_lines(self, plan_id: str) -> dict[str, tuple[State, str]]:
        """The state of each line of a plan, by the key of its reply, and what was said of the batch that it was in."""
        rows = self.read(lambda connection: connection.execute(LIST_LINES, {"plan_id": plan_id}).all())
        return {key: (state, said) for key, state, said in rows}

    def end(self, run_id: str) -> None:
        """A run waits no more: what it has queued and not sent is dropped; what is sent is kept when it comes."""

        def act(connection: Connection) -> None:
            connection.execute(END_RUN, {"run_id": run_id})
            sweep(connection)

        self.change(act)

    def hand_over(self, old: str, new: str) -> None:
        """Another run of its plan, which does not wait as yet, waits from now on in a run's place."""
        self.change(lambda connection: connection.execute(HAND_OVER, {"old": old, "new": new}))

    def list_batches(self) -> list[BatchRow]:
        """Batches that are not over, and those of the last seven days that are, the oldest first."""
        return self.read(lambda connection: [BatchRow(**row) for row in connection.execute(LIST_BATCHES).mappings()])

    def cancel(self, batch: str) -> None:
        """Has the next pass end a batch early: what it has not answered by then is asked live."""
        self.change(lambda connection: connection.execute(CANCEL, {"batch": batch, "now": time.time()}))

    def change(self, act: Callable[[Connection], T]) -> T:
        """Does all of something or none of it, while nobody else changes the outbox."""

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
    """The runs of a model that wait; none where nothing was ever kept here. Nothing is made."""
    return [_make_run(row._mapping) for row in read_rows(place, _find_runs({"handle"}), handle=handle)]


def count_open(place: DatabaseUrl) -> Counter[str]:
    """How many lines are in which state and, as ``batches``, how many batches are not over; nothing is made."""
    return Counter({str(state): int(count) for state, count in read_rows(place, COUNT_OPEN)})


def sweep(connection: Connection) -> None:
    """Removes what no run waits for, but for lines that are sent."""
    for statement in DELETE_COLLECTED:
        connection.execute(statement)


def _find_runs(columns: Collection[str]) -> TextClause:
    where = " AND ".join(f"run.{name} = :{name}" for name in columns)
    return text(LIST_RUNS.format(where=f" WHERE {where}" if where else ""))


def _make_run(row: RowMapping) -> BatchRun:
    return BatchRun(**{**row, "asked": json.loads(row["asked"])})
