"""The tables beside each other in the database of kept replies: replies, calls, openings, and those of batches."""

# Where it is there, all are.
LAST_TABLE = "exemplars_collector"
# In SQL that both databases take.
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
    # Calls that a batch is to bring. ``call`` counts from the moment that its line is queued; ``body`` is null once the
    # line has ended. ``state``: waits, sent (a batch that has it is intended), done (its reply is kept), live (it is to
    # be asked live) or refused (with its whole batch).
    """
    CREATE TABLE IF NOT EXISTS exemplars_lines (
        custom_id TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL,
        key TEXT NOT NULL,
        place TEXT NOT NULL,
        body TEXT,
        bytes BIGINT NOT NULL,
        call BIGINT NOT NULL,
        state TEXT NOT NULL,
        batch TEXT,
        tries INTEGER NOT NULL,
        queued_at DOUBLE PRECISION NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS exemplars_lines_plan ON exemplars_lines (plan_id, state)",
    "CREATE INDEX IF NOT EXISTS exemplars_lines_batch ON exemplars_lines (batch, custom_id)",
    "CREATE INDEX IF NOT EXISTS exemplars_lines_waiting ON exemplars_lines (place, queued_at, custom_id) "
    "WHERE state = 'waits'",
    # ``engine.llm.batches.outbox.BatchRow`` and ``BatchRun`` say what is in these; SQLite keeps bytes whatever it calls
    # them.
    """
    CREATE TABLE IF NOT EXISTS exemplars_batches (
        batch TEXT PRIMARY KEY,
        place TEXT NOT NULL,
        remote_id TEXT,
        lines BIGINT NOT NULL,
        intended_at DOUBLE PRECISION NOT NULL,
        created_at DOUBLE PRECISION,
        missed_at DOUBLE PRECISION,
        next_poll_at DOUBLE PRECISION,
        cancel_at DOUBLE PRECISION,
        ended_at DOUBLE PRECISION,
        said TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS exemplars_batch_runs (
        run_id TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL,
        handle TEXT NOT NULL,
        effort TEXT NOT NULL,
        asked TEXT NOT NULL,
        inputs BYTEA NOT NULL,
        parent TEXT,
        queued_at DOUBLE PRECISION NOT NULL
    )
    """,
    "CREATE TABLE IF NOT EXISTS exemplars_collector "
    "(id INTEGER PRIMARY KEY, holder TEXT NOT NULL, until DOUBLE PRECISION NOT NULL)",
)
