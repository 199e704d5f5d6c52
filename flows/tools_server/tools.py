"""Which operations of the HTTP API are tools, and what a language model reads of each."""

TOOLS = {
    "list_models": (
        "get /v1/models",
        "Lists the models of one namespace, which is the part of a handle before its dot: for each its handle, what it "
        "judges, its state, the names of its traits, and its last run. Of a state, `draft` and `failed` take new "
        "samples, `busy` means that a run works on the model, and `ready` and `archived` are frozen. The answer also "
        "has all namespaces that can be listed.",
    ),
    "get_model": (
        "get /v1/models/{handle}",
        "Reads one model: what it judges, its state, the names of its traits, and its last run with status and "
        "progress. Its card, with the brief and the counts of samples in words, is the resource "
        "`exemplars://models/<handle>`.",
    ),
    "list_traits": (
        "get /v1/models/{handle}/traits",
        "Lists the traits of a model. A trait is one axis of judgment with a positive pole (quality 1) and a negative "
        "pole (quality 0): for each its key, its name, what it asks of a text, what its poles are called, and how many "
        "samples there are at each.",
    ),
    "list_samples": (
        "get /v1/models/{handle}/samples",
        "Lists the labelled texts of a model, page by page: first those that its author wrote, then those that runs "
        "have made. `quality` is 1 at the positive pole of the trait and 0 at its negative one. The key has to own the "
        "namespace.",
    ),
    "add_samples": (
        "post /v1/models/{handle}/samples",
        "Adds labelled texts of your own to a draft model, 1 to 500 at a time, all or none. A sample that is there "
        "already answers with its id, so the same call again changes nothing. The same text for the same trait with "
        "another quality is refused, and the index of the first sample that is wrong is told.",
    ),
    "delete_sample": (
        "delete /v1/models/{handle}/samples/{sample_id}",
        "Takes one sample off a draft model: one that a run has made, or that was added by add_samples. A sample in a "
        "file that the model's author wrote is not deleted; the message names the file.",
    ),
    "synthesize_samples": (
        "post /v1/models/{handle}/samples/synthesize",
        "Starts a run that has a language model write labelled samples for a draft model, screens them, and attaches "
        "them if they pass the gate. It answers at once with a run id; the run takes minutes, and may cost money "
        "(plan_synthesis tells how much). Follow it with get_run. While it is queued or running the same call is "
        "refused as `already_running` with the id of that run: nothing is made twice.",
    ),
}
