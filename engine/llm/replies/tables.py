"""The tables of the database of kept replies, in SQL that SQLite and PostgreSQL both take."""

TABLES = (
    # The first reply to a request stands. ``identity`` is of the embedded model that gave it; null: a hosted one did.
    """
    CREATE TABLE IF NOT EXISTS exemplars_replies (
        plan_id TEXT NOT NULL,
        key TEXT NOT NULL,
        reply TEXT NOT NULL,
        identity TEXT,
        bytes BIGINT NOT NULL,
        PRIMARY KEY (plan_id, key)
    )
    """,
    # A plan's replies are counted without reading them.
    "CREATE INDEX IF NOT EXISTS exemplars_replies_bytes ON exemplars_replies (plan_id, bytes)",
    # Calls that have begun. ``usd`` is the most that a call can cost and, once it has ended, what it did cost; null
    # where no price is known. A call that has not ended and whose opening is over was lost, and may have been billed.
    """
    CREATE TABLE IF NOT EXISTS exemplars_calls (
        call BIGINT PRIMARY KEY,
        plan_id TEXT NOT NULL,
        opening TEXT NOT NULL,
        budget TEXT,
        usd DOUBLE PRECISION,
        ended BOOLEAN NOT NULL,
        begun_at DOUBLE PRECISION NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS exemplars_calls_plan ON exemplars_calls (plan_id)",
    "CREATE INDEX IF NOT EXISTS exemplars_calls_budget ON exemplars_calls (budget) WHERE budget IS NOT NULL",
    # Who has had a plan open, and who has: a live opening says every few seconds that it lives (``used_at``).
    """
    CREATE TABLE IF NOT EXISTS exemplars_openings (
        opening TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL,
        handle TEXT,
        used_at DOUBLE PRECISION NOT NULL,
        is_open BOOLEAN NOT NULL
    )
    """,
)
