"""Where the files of a sample set lie.

Beside the samples there is one folder, and nothing in it ends in ``.parquet``. So readers of whole folders find samples
and nothing else: ``datasets`` passes over folders named ``__…``, pandas and pyarrow over names that begin with ``_``,
and DuckDB and polars are given ``**/*.parquet``.
"""

RUN_FOLDER = "__run__"
SAMPLES = "samples.parquet"
MANIFEST = f"{RUN_FOLDER}/manifest.json"
REJECTED = f"{RUN_FOLDER}/rejected.pq"
VERDICT = f"{RUN_FOLDER}/verdict.json"
REPORT = f"{RUN_FOLDER}/report.html"
CARD = f"{RUN_FOLDER}/README.md"
# What its run was given: the text of ``model.yaml``, and by their digests the samples and sets beside it.
DEFINITION = f"{RUN_FOLDER}/definition.json"
# The prompts that its rows answer, by their digests.
PROMPTS = f"{RUN_FOLDER}/prompts.pq"
# The samples of a detached set are kept here, where no reader of samples looks.
DETACHED = f"{RUN_FOLDER}/detached.pq"
# The samples of a set that waits for a person's decision lie here, and stay here after it.
PROPOSED = f"{RUN_FOLDER}/proposed.pq"
# What a person has decided of a proposed set so far: not in its manifest, since it grows.
DECISIONS = f"{RUN_FOLDER}/decisions.jsonl"
# What a reviewer is shown of each proposed text.
REVIEW_DATA = f"{RUN_FOLDER}/review.json"
# What near-duplicate search needs of the samples, by their ids.
HASHES = f"{RUN_FOLDER}/hashes.pq"

# The ledgers of backfills, in the root of the sample store.
BACKFILLS = "__backfills__"
