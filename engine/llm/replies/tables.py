"""The tables in the database of kept replies: replies, calls, sessions (openings), and the tables of batches."""

# If this table exists, all do.
LAST_TABLE = "exemplars_collector"
# In SQL that both databases accept.
TABLES = (
    # The first reply to a request is kept. ``identity`` names the embedded model that gave it; null: a hosted one.
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
    # For counting a plan's replies without reading them.
    "CREATE INDEX IF NOT EXISTS exemplars_replies_bytes ON exemplars_replies (plan_id, bytes)",
    # Started calls. ``usd`` is the maximum cost of a call and, once it has ended, its actual cost; null if no price is
    # known. A call that has not ended when its session is over is lost, and may have been billed.
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
    # Past and present sessions of plans: a live one updates ``used_at`` every few seconds.
    """
    CREATE TABLE IF NOT EXISTS exemplars_openings (
        opening TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL,
        handle TEXT,
        used_at DOUBLE PRECISION NOT NULL,
        is_open BOOLEAN NOT NULL
    )
    """,
    # Calls to be made in batches. ``call`` counts from the moment when its line is queued; ``body`` is null once the
    # line has ended. ``state``: waits, sent (a batch with it is intended), done (its reply is stored), live (to be
    # called live) or refused (with its whole batch).
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
    # ``BatchRow`` and ``BatchRun`` in ``engine.llm.batches.outbox`` describe the columns; SQLite stores bytes under any
    # type name.
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
