"""The outbox: calls that a provider's batch is to bring, and the runs that wait for them, beside the kept replies."""

import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import Connection, text

from engine.llm.batches.wire import Place
from engine.llm.replies.changes import BEGIN_CALL, IN_BATCH, LOCK_BUDGET, SUM_BUDGET, TINY_USD, SharedLimit, find_alive
from engine.llm.replies.database import Database, find_file
from engine.settings import RepliesPlace

T = TypeVar("T")
State = Literal["waits", "sent", "done", "live", "refused"]

DAY_SECONDS = 86_400.0
# How long a batch that is over is told of.
TOLD_SECONDS = 7 * DAY_SECONDS

# One transaction at a time changes the outbox; a file is locked as a whole. Any number that nobody else locks by.
LOCK_OUTBOX = text("SELECT pg_advisory_xact_lock(7236772)")
ADD_RUN = text(
    "INSERT INTO exemplars_batch_runs "
    "(run_id, plan_id, handle, synth_type, effort, mode, asked, inputs, parent, budget, queued_at) VALUES "
    "(:run_id, :plan_id, :handle, :synth_type, :effort, :mode, :asked, :inputs, :parent, :budget, :queued_at)"
)
LIST_RUNS = "SELECT * FROM exemplars_batch_runs AS run{where} ORDER BY queued_at, run_id"
IS_READY = (
    " WHERE NOT EXISTS (SELECT 1 FROM exemplars_lines AS line "
    "WHERE line.plan_id = run.plan_id AND line.state IN ('waits', 'sent'))"
)
ADD_LINE = text(
    "INSERT INTO exemplars_lines (custom_id, plan_id, key, place, body, bytes, call, state, tries, said, queued_at) "
    "VALUES (:custom_id, :plan_id, :key, :place, :body, :bytes, :call, 'waits', 0, '', :queued_at)"
)
LIST_LINES = text("SELECT key, state, said FROM exemplars_lines WHERE plan_id = :plan_id")
COUNT_ALL_LINES = text("SELECT state, count(*) FROM exemplars_lines GROUP BY state")
SUM_LINES = text(
    "SELECT coalesce(sum(usd), 0.0) FROM exemplars_calls WHERE call IN "
    "(SELECT call FROM exemplars_lines WHERE plan_id = :plan_id AND state IN ('waits', 'sent'))"
)
FIND_SENT = text(
    "SELECT max(created_at) FROM exemplars_batches WHERE batch IN "
    "(SELECT batch FROM exemplars_lines WHERE plan_id = :plan_id AND state = 'sent')"
)
END_RUN = text("DELETE FROM exemplars_batch_runs WHERE run_id = :run_id RETURNING queued_at")
HAND_OVER = text("UPDATE exemplars_batch_runs SET run_id = :new WHERE run_id = :old")
# What no run waits for: lines that have not been sent, with their calls, and those that have ended.
SWEEP = (
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
    "SELECT * FROM exemplars_batches WHERE state <> 'over' OR polled_at > :since ORDER BY intended_at, batch"
)
COUNT_BATCHES = text(
    "SELECT line.batch, line.state, count(*), coalesce(sum(begun.usd), 0.0) FROM exemplars_lines AS line "
    "LEFT JOIN exemplars_calls AS begun ON begun.call = line.call WHERE line.batch IS NOT NULL "
    "GROUP BY line.batch, line.state"
)
CANCEL = text(
    "UPDATE exemplars_batches SET cancel_at = :now, next_poll_at = 0 "
    "WHERE batch = :batch AND state <> 'over' AND cancel_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a line is to bring the reply to.

    Args:
        key: what its reply is kept under.
        body: what the provider takes.
        bound_usd: the most that it can cost at the price of a batch; None where nobody knows.
    """

    key: str
    body: Mapping[str, Any]
    bound_usd: float | None


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A run that waits for its lines.

    Args:
        parent: the run id of its backfill.
        asked: the parameters of its flow.
        inputs: the job that it plans from when it goes on.
        mode: which waves it sends in batches.
        queued_at: when it first queued lines, in seconds since 1970; the outbox sets it.
        budget: the name of the limit that it shares with the other models of its backfill.
    """

    run_id: str
    plan_id: str
    handle: str
    synth_type: str
    effort: str
    mode: Literal["first", "all"]
    asked: Mapping[str, Any]
    inputs: bytes = b""
    parent: str | None = None
    budget: str | None = None
    queued_at: float = 0.0


@dataclass(frozen=True, slots=True)
class LineState:
    """How far a line is; ``said`` is what its provider said where it brought no reply."""

    state: State
    said: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch; times are in seconds since 1970, None for what has not happened.

    Args:
        batch: its key: the SHA-256 of its lines and their tries.
        remote_id: the provider's id of it.
        lines: how many it was sent with.
        tried_at: when its create was sent. With no ``remote_id`` nobody knows whether the provider took it.
        missed_at: when the provider's list did not show it for the first time.
        polled_at: when it was last looked at or, of one that is over, when it ended.
        cancel_at: when somebody asked for its end.
        said: what its provider last said of it.
        states: how many of its lines are in which state, as far as their runs still wait.
        bound_usd: what it may cost at most, or has cost where its lines have ended.
    """

    batch: str
    place: Place
    state: Literal["intent", "created", "over"]
    remote_id: str | None
    file_id: str | None
    lines: int
    intended_at: float
    tried_at: float | None
    created_at: float | None
    missed_at: float | None
    polled_at: float | None
    next_poll_at: float | None
    cancel_at: float | None
    said: str
    states: Mapping[str, int]
    bound_usd: float

    @property
    def model(self) -> str:
        """The model that it asks, as litellm names it."""
        return self.place.model

    @property
    def done(self) -> int:
        """How many of its lines have brought a reply, as far as their runs still wait."""
        return self.states.get("done", 0)

    @property
    def until(self) -> float | None:
        """When its provider has answered it at the latest."""
        return None if self.created_at is None else self.created_at + DAY_SECONDS


class Outbox:
    """The outbox of a database of kept replies; open until ``close``, from any thread.

    Raises:
        StoreError: the database cannot be reached or written; every method raises it too.
    """

    def __init__(self, place: RepliesPlace) -> None:
        self._database = Database(place)

    def queue(
        self, run: BatchRun, place: Place, asked: Sequence[Asked], left_usd: float, limit: SharedLimit | None
    ) -> int:
        """Notes that a run waits, and queues a line for each request that has none, all of it or nothing.

        Args:
            asked: in order; the first that does not fit into a limit and all after it are left out.
            left_usd: what is left of the run's own limit, without the lines that are out; infinite without a limit.
            limit: what the run shares with others.

        Returns:
            How many lines were queued.
        """

        def act(connection: Connection) -> int:
            now = time.time()
            since = connection.execute(END_RUN, {"run_id": run.run_id}).scalar()
            row = asdict(run) | {"asked": json.dumps(run.asked), "queued_at": since or now}
            connection.execute(ADD_RUN, row)
            known = {key for key, *_ in connection.execute(LIST_LINES, {"plan_id": run.plan_id})}
            new = [each for each in asked if each.key not in known]
            fitting = _count_fitting(connection, run.plan_id, new, left_usd, limit)
            lines = [_make_line(run.plan_id, each) for each in new[:fitting]]
            if lines:
                budget = limit.budget if limit else None
                call = {"plan_id": run.plan_id, "opening": IN_BATCH, "budget": budget, "begun_at": now}
                connection.execute(BEGIN_CALL, [line | call for line in lines])
                connection.execute(ADD_LINE, [line | {"place": place.to_json(), "queued_at": now} for line in lines])
            return fitting

        return self.change(act)

    def find_runs(
        self,
        *,
        run_id: str | None = None,
        plan_id: str | None = None,
        handle: str | None = None,
        parent: str | None = None,
    ) -> list[BatchRun]:
        """The runs that wait, the first first; of those that are named where something is named."""
        named = {"run_id": run_id, "plan_id": plan_id, "handle": handle, "parent": parent}
        given = {name: value for name, value in named.items() if value is not None}
        where = " AND ".join(f"{name} = :{name}" for name in given)
        return self._list_runs(f" WHERE {where}" if where else "", given)

    def list_ready(self) -> list[BatchRun]:
        """The runs whose lines have all ended, so that they can go on."""
        return self._list_runs(IS_READY, {})

    def count_lines(self, plan_id: str) -> Counter[str]:
        """How many lines of a plan are in which state."""
        return Counter(line.state for line in self.list_lines(plan_id).values())

    def list_lines(self, plan_id: str) -> dict[str, LineState]:
        """The lines of a plan, by the key of their reply."""
        rows = self.read(lambda connection: connection.execute(LIST_LINES, {"plan_id": plan_id}).all())
        return {key: LineState(state, said) for key, state, said in rows}

    def find_sent(self, plan_id: str) -> float | None:
        """When the last batch was created that has lines of a plan; None where none has."""
        return self.read(lambda connection: connection.execute(FIND_SENT, {"plan_id": plan_id}).scalar())

    def end(self, run_id: str) -> None:
        """A run waits no more: what it has queued and not sent is dropped; what is sent is kept when it comes."""

        def act(connection: Connection) -> None:
            connection.execute(END_RUN, {"run_id": run_id})
            sweep(connection)

        self.change(act)

    def hand_over(self, old: str, new: str) -> None:
        """Another run of its plan waits from now on in a run's place."""

        def act(connection: Connection) -> None:
            connection.execute(END_RUN, {"run_id": new})
            connection.execute(HAND_OVER, {"old": old, "new": new})

        self.change(act)

    def list_batches(self) -> list[BatchRow]:
        """Batches that are not over, and those that ended in the last seven days, the oldest first."""

        def look(connection: Connection) -> list[BatchRow]:
            states: dict[str, dict[str, int]] = {}
            bounds = Counter[str]()
            for batch, state, count, usd in connection.execute(COUNT_BATCHES):
                states.setdefault(batch, {})[state] = count
                bounds[batch] += usd
            return [
                make_batch(row, states.get(row["batch"], {}), float(bounds[row["batch"]]))
                for row in connection.execute(LIST_BATCHES, {"since": time.time() - TOLD_SECONDS}).mappings()
            ]

        return self.read(look)

    def cancel(self, batch: str) -> None:
        """Has the next pass end a batch early: what it has not answered by then is asked live."""
        self.change(lambda connection: connection.execute(CANCEL, {"batch": batch, "now": time.time()}))

    def change(self, act: Callable[[Connection], T]) -> T:
        """Does all of something or none of it, while nobody else changes the outbox."""

        def locked(connection: Connection) -> T:
            if connection.dialect.name == "postgresql":
                connection.execute(LOCK_OUTBOX)
            return act(connection)

        return self._database.change(locked)

    def read(self, read: Callable[[Connection], T]) -> T:
        """What is read of the database."""
        return self._database.read(read)

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _list_runs(self, where: str, values: Mapping[str, str]) -> list[BatchRun]:
        statement = text(LIST_RUNS.format(where=where))
        rows = self.read(lambda connection: connection.execute(statement, values).mappings().all())
        return [BatchRun(**{**row, "asked": json.loads(row["asked"]), "inputs": bytes(row["inputs"])}) for row in rows]


def list_awaited(place: RepliesPlace, handle: str) -> list[BatchRun]:
    """The runs of a model that wait; none where nothing was ever kept here. Nothing is made."""
    if not is_there(place):
        return []
    with Outbox(place) as outbox:
        return outbox.find_runs(handle=handle)


def count_open(place: RepliesPlace) -> tuple[int, Counter[str]]:
    """How many batches are not over, and how many lines are in which state; nothing is made."""
    if not is_there(place):
        return 0, Counter()
    with Outbox(place) as outbox:
        lines = outbox.read(lambda connection: connection.execute(COUNT_ALL_LINES).all())
        counts = Counter({str(state): int(count) for state, count in lines})
        return sum(batch.state != "over" for batch in outbox.list_batches()), counts


def is_there(place: RepliesPlace) -> bool:
    """Whether the database is: a file may not have been made yet."""
    return (file := find_file(place)) is None or file.exists()


def sweep(connection: Connection) -> None:
    """Removes what no run waits for, but for lines that are sent."""
    for statement in SWEEP:
        connection.execute(statement)


def make_batch(row: Any, states: Mapping[str, int], bound_usd: float) -> BatchRow:
    """The batch of a row of its table."""
    return BatchRow(**{**row, "place": Place.from_json(row["place"])}, states=states, bound_usd=bound_usd)


def _count_fitting(
    connection: Connection, plan_id: str, asked: Sequence[Asked], left_usd: float, limit: SharedLimit | None
) -> int:
    """How many of the first requests fit into the limits, beside the lines that are out."""
    room_usd = left_usd - connection.execute(SUM_LINES, {"plan_id": plan_id}).scalar_one()
    if limit is not None:
        if connection.dialect.name == "postgresql":
            connection.execute(LOCK_BUDGET, {"budget": limit.budget})
        spent_usd, _ = connection.execute(SUM_BUDGET, {"budget": limit.budget, "alive": find_alive()}).one()
        room_usd = min(room_usd, limit.max_usd - spent_usd)
    for count, each in enumerate(asked):
        room_usd -= each.bound_usd or 0.0
        if room_usd < -TINY_USD:
            return count
    return len(asked)


def _make_line(plan_id: str, asked: Asked) -> dict[str, Any]:
    body = json.dumps(asked.body, ensure_ascii=False)
    return {
        "custom_id": hashlib.sha256(f"{plan_id}\0{asked.key}".encode()).hexdigest(),
        "plan_id": plan_id,
        "key": asked.key,
        "body": body,
        "bytes": len(body.encode()),
        "call": secrets.randbits(62),
        "usd": asked.bound_usd,
    }
