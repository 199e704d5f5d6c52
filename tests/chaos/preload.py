"""All that a run imports, for the process from which runs are forked (``chaos.forked``); it starts no thread."""

import importlib
import os

# Else litellm asks the network for its price list.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
for name in (
    "flows.cli",
    "flows.synthesize",
    "flows.temporary_server",
    "flows.terminal",
    "great_expectations",
    "litellm",
):
    importlib.import_module(name)
