"""What the contract says and schemathesis cannot know, since no schema can: loaded into its process as its hooks."""

import json
from typing import Any

import schemathesis

# A request that agrees with the schema is taken, says `positive_data_acceptance`. It holds but for these refusals.
CHECK = "RejectedPositiveData"
LISTINGS = ("GET /v1/models", "GET /v1/models/{handle}/samples")
OF_MODEL = (
    "GET /v1/models/{handle}",
    "GET /v1/models/{handle}/traits",
    "GET /v1/models/{handle}/samples",
    "POST /v1/models/{handle}/samples",
    "DELETE /v1/models/{handle}/samples/{sample_id}",
    "POST /v1/models/{handle}/samples/synthesize",
)
ADDING = "POST /v1/models/{handle}/samples"
SYNTHESIS = ("POST /v1/models/{handle}/samples/synthesize",)


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure is one."""
    if type(failure).__name__ != CHECK or response.status_code != 422:
        return True
    return not is_of_the_contract(case.operation.label, json.loads(response.content)["error"])


def is_of_the_contract(operation: str, error: dict[str, Any]) -> bool:
    """Whether the contract asks for the refusal of a request that agrees with the schema."""
    code, details = error["code"], error["details"]
    # "Cursors are opaque; one that the server did not issue is 422."
    if operation in LISTINGS and code == "invalid_request" and details.get("field") == "cursor":
        return True
    # "422 for the model": what is wrong is the definition, of which the request says nothing.
    if operation in (*SYNTHESIS, ADDING) and code in {"no_traits", "no_seed_samples"}:
        return True
    # A trait that the model has not, a digest that is not the text's, a text with two qualities.
    if operation == ADDING and details.get("field") in {"trait", "content_sha256", "quality"} and "index" in details:
        return True
    return operation in OF_MODEL and code == "invalid_request" and "model.yaml" in str(details.get("problems"))
