"""The collector's changes to batches and their lines, each in one transaction of ``Outbox.change``."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, text

from engine.llm.batches.outbox import DAY_SECONDS, BatchRow, State, collect_garbage
from engine.llm.batches.provider import Answer
from engine.llm.client.request import REFUSED
from engine.llm.replies.changes import CallFailed, Change, ReplyStored, apply_changes

# The collector renews its lease three times in this time.
LEASE_SECONDS = 60.0
# Providers accept 50,000 lines and 200 MB in one file (OpenAI), or 100,000 and 256 MB (Anthropic).
MOST_LINES, MOST_BYTES = 50_000, 190_000_000
# Maximum number of lines in one transaction or one query.
PAGE = 500
# How long a batch stays listed after its end.
NOTICE_SECONDS = 7 * DAY_SECONDS

TAKE_LEASE = text(
    "INSERT INTO exemplars_collector (id, holder, until) VALUES (1, :holder, :until) "
    "ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, until = excluded.until "
    "WHERE exemplars_collector.until < :now"
)
RENEW_LEASE = text("UPDATE exemplars_collector SET until = :until WHERE holder = :holder")
GIVE_LEASE_BACK = text("DELETE FROM exemplars_collector WHERE holder = :holder")
LIST_WAITING = text("SELECT place FROM exemplars_lines WHERE state = 'waits' GROUP BY place ORDER BY min(queued_at)")
LIST_PLACE = text(
    "SELECT custom_id, tries, bytes, queued_at FROM exemplars_lines WHERE state = 'waits' AND place = :place "
    "ORDER BY queued_at, custom_id LIMIT :lines"
)
INTEND = text(
    "INSERT INTO exemplars_batches (batch, place, lines, intended_at, said) "
    "VALUES (:batch, :place, :lines, :now, '') RETURNING *, 0 AS done, 0.0 AS ceiling_usd"
)
SEND_LINES = text(
    "UPDATE exemplars_lines SET state = 'sent', batch = :batch WHERE state = 'waits' AND place = :place "
    "AND (queued_at, custom_id) <= (:queued_at, :custom_id)"
)
LIST_BODIES = text(
    "SELECT custom_id, body FROM exemplars_lines WHERE batch = :batch AND state = 'sent' AND custom_id > :after "
    "ORDER BY custom_id LIMIT :page"
)
FIND_SENT = text(
    "SELECT line.custom_id, line.plan_id, line.key, line.call, begun.usd FROM exemplars_lines AS line "
    "LEFT JOIN exemplars_calls AS begun ON begun.call = line.call "
    "WHERE line.batch = :batch AND line.state = 'sent' AND line.custom_id IN :ids"
).bindparams(bindparam("ids", expanding=True))
END_LINE = text("UPDATE exemplars_lines SET state = :state, body = NULL WHERE custom_id = :custom_id")
# Lines without a reply wait for one second try if a run waits for them; otherwise they end.
WAIT_AGAIN = text(
    "UPDATE exemplars_lines SET state = 'waits', tries = tries + 1 WHERE batch = :batch AND state = 'sent' "
    "AND tries = 0 AND plan_id IN (SELECT plan_id FROM exemplars_batch_runs)"
)
END_CALLS = text(
    "DELETE FROM exemplars_calls WHERE call IN "
    "(SELECT call FROM exemplars_lines WHERE batch = :batch AND state = 'sent')"
)
END_LINES = text("UPDATE exemplars_lines SET state = :state, body = NULL WHERE batch = :batch AND state = 'sent'")
FORGET_BATCHES = text("DELETE FROM exemplars_batches WHERE ended_at < :since")


def take_lease(connection: Connection, holder: str, now: float) -> bool:
    """Take the lease of the collector; return False if another process has it."""
    values = {"holder": holder, "until": now + LEASE_SECONDS, "now": now}
    return connection.execute(TAKE_LEASE, values).rowcount == 1


def renew_lease(connection: Connection, holder: str, now: float) -> bool:
    """Renew the lease; return False if another process has taken it."""
    return connection.execute(RENEW_LEASE, {"holder": holder, "until": now + LEASE_SECONDS}).rowcount == 1


def give_lease_back(connection: Connection, holder: str) -> None:
    """Release the lease, so that another process can collect at once."""
    connection.execute(GIVE_LEASE_BACK, {"holder": holder})


def list_waiting(connection: Connection) -> list[str]:
    """Return the accounts with waiting lines, as JSON, the longest waiting first."""
    return [str(place) for [place] in connection.execute(LIST_WAITING)]


def intend(
    connection: Connection, place: str, now: float, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES
) -> BatchRow | None:
    """Form a batch of an account's longest waiting lines, up to the limits; return None if no line waits."""
    rows, size = list[Any](), 0
    for row in connection.execute(LIST_PLACE, {"place": place, "lines": most_lines}):
        size += row.bytes
        if rows and size > most_bytes:
            break
        rows.append(row)
    if not rows:
        return None
    # The key differs for lines that were returned or queued again.
    line_ids = sorted(f"{row.custom_id} {row.tries} {row.queued_at}" for row in rows)
    key = hashlib.sha256("\n".join(line_ids).encode()).hexdigest()
    batch = {"batch": key, "place": place}
    inserted = connection.execute(INTEND, {**batch, "lines": len(rows), "now": now}).mappings().one()
    last = {"queued_at": rows[-1].queued_at, "custom_id": rows[-1].custom_id}
    connection.execute(SEND_LINES, batch | last)
    return BatchRow(**inserted)


def note(connection: Connection, batch: str, **values: object) -> None:
    """Set columns of a batch."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    statement = text(f"UPDATE exemplars_batches SET {columns} WHERE batch = :batch")  # noqa: S608
    connection.execute(statement, {**values, "batch": batch})


def store_results(connection: Connection, batch: str, answers: Sequence[Answer]) -> int:
    """Store the replies of a batch and mark answered lines without one for live calls; return the number of replies.

    Lines that have ended or belong to another batch stay unchanged.
    """
    if not answers:
        return 0
    # The first of two answers to a line counts.
    replies = {answer.custom_id: answer.reply for answer in reversed(answers)}
    changes, ends = list[Change](), list[dict[str, str]]()
    for row in connection.execute(FIND_SENT, {"batch": batch, "ids": list(replies)}):
        reply = replies[row.custom_id]
        if reply is None:
            changes.append(CallFailed(row.call))
        else:
            if not reply.prompt_tokens and reply.finish != REFUSED and row.usd is not None:
                # The provider reports no tokens, so the call counts at its maximum cost.
                reply = replace(reply, cost_usd=row.usd)
            changes.append(ReplyStored.of(row.plan_id, row.key, reply, None, row.call))
        ends.append({"custom_id": row.custom_id, "state": "live" if reply is None else "done"})
    apply_changes(connection, changes)
    if ends:
        connection.execute(END_LINE, ends)
    return sum(end["state"] == "done" for end in ends)


def finish(connection: Connection, batch: str, message: str, now: float, again: bool, state: State = "live") -> None:
    """End a batch and its unanswered lines.

    Args:
        again: whether these lines may be queued a second time.
        state: the final state of the other lines.
    """
    if again:
        connection.execute(WAIT_AGAIN, {"batch": batch})
    connection.execute(END_CALLS, {"batch": batch})
    connection.execute(END_LINES, {"batch": batch, "state": state})
    note(connection, batch, ended_at=now, said=message)
    collect_garbage(connection)
    connection.execute(FORGET_BATCHES, {"since": now - NOTICE_SECONDS})
