"""All that a run imports and loads, for the process from which runs are forked (``chaos.forked``)."""

import importlib
import os

from engine.text.embedding import SentenceEncoder
from engine.text.language import find_other_language

# Else litellm asks the network for its price list.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
for name in (
    "expectations.gate",
    "fastapi",
    "flows.cli.app",
    "flows.synthesize",
    "flows.cli.temporary_server",
    "flows.cli.terminal",
    "great_expectations",
    "litellm",
    "prefect.concurrency.asyncio",
):
    importlib.import_module(name)
TEXT = "The old harbour crane lifts its last container before the storm closes the quay for the night."
SentenceEncoder().embed([TEXT])
find_other_language(TEXT, "en")
