"""Names of the files of a sample set.

Next to the samples there is one folder, and no file in it ends in ``.parquet``. So programs that read whole folders
read only samples: ``datasets`` skips folders named ``__…``, pandas and pyarrow skip names that begin with ``_``, and
DuckDB and polars are given ``**/*.parquet``.
"""

RUN_FOLDER = "__run__"
SAMPLES = "samples.parquet"
MANIFEST = f"{RUN_FOLDER}/manifest.json"
REJECTED = f"{RUN_FOLDER}/rejected.pq"
VERDICT = f"{RUN_FOLDER}/verdict.json"
REPORT = f"{RUN_FOLDER}/report.html"
CARD = f"{RUN_FOLDER}/README.md"
# The inputs of the run: the text of ``model.yaml``, and the digests of its authored samples, texts and sets.
DEFINITION = f"{RUN_FOLDER}/definition.json"
# The prompts of the set's rows, by digest.
PROMPTS = f"{RUN_FOLDER}/prompts.pq"
# The samples of a detached set; no reader of samples opens this file.
DETACHED = f"{RUN_FOLDER}/detached.pq"
# The samples of a set that waits for a review; the file stays after the review.
PROPOSED = f"{RUN_FOLDER}/proposed.pq"
# The decisions on a proposed set so far. They are not in the manifest, because the file grows.
DECISIONS = f"{RUN_FOLDER}/decisions.jsonl"
# The facts on each proposed text that a reviewer sees.
REVIEW_DATA = f"{RUN_FOLDER}/review.json"
# The hashes of the samples for near-duplicate search, by sample id.
HASHES = f"{RUN_FOLDER}/hashes.pq"

# The ledgers of backfills, in the root of the sample store.
BACKFILLS = "__backfills__"
