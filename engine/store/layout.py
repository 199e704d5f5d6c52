"""Where the files of a sample set lie.

Beside the samples there is one folder, and nothing in it ends in ``.parquet``. So readers of whole folders find samples
and nothing else: ``datasets`` passes over folders named ``__…``, pandas and pyarrow over names that begin with ``_``,
and DuckDB and polars are given ``**/*.parquet``.
"""

from collections.abc import Mapping

RUN_FOLDER = "__run__"
SAMPLES = "samples.parquet"
MANIFEST = f"{RUN_FOLDER}/manifest.json"
REJECTED = f"{RUN_FOLDER}/rejected.pq"
VERDICT = f"{RUN_FOLDER}/verdict.json"
REPORT = f"{RUN_FOLDER}/report.html"
CARD = f"{RUN_FOLDER}/README.md"
# The samples of a detached set are kept here, where no reader of samples looks.
DETACHED = f"{RUN_FOLDER}/detached.pq"
# The samples of a set that waits for a person's word lie here, and stay here after it.
PROPOSED = f"{RUN_FOLDER}/proposed.pq"
# What a person has decided of a proposed set so far: not in its manifest, since it grows.
DECISIONS = f"{RUN_FOLDER}/decisions"
DECISIONS_FILE = f"{DECISIONS}.jsonl"
# What a reviewer is shown of each proposed text.
REVIEW_DATA = f"{RUN_FOLDER}/review.json"
# What near-duplicate search needs of the samples, by the kind of hashes.
HASHES: Mapping[str, str] = {name: f"{RUN_FOLDER}/hashes_{name}.pq" for name in ("near", "apart")}

# On an object store, the files of a set's next version, until all of them are in their places.
NEXT_VERSION = f"{RUN_FOLDER}/next"
NEXT_MANIFEST = f"{NEXT_VERSION}/manifest.json"

# The ledgers of backfills, in the root of the sample store.
BACKFILLS = "__backfills__"

# The field of a manifest that tells when its set was attached, where the file's own time no longer does.
ATTACHED_NS = "attached_ns"
