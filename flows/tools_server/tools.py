"""The tools: the name and description of each, and the operation of the door, or beside it, that it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

HANDLE = (
    "The model's handle, `<namespace>.<name>`, such as `u22a8.technical-writing`: lower-case letters, digits and `-` "
    "on each side of the one dot. list_models has the handles that there are."
)
TRAIT = "A trait of the model, by its key or its name; list_traits has them."
CURSOR = "`next_cursor` of the answer before, with the same other arguments; left out for the first page."
EFFORT = (
    "How many samples for each pole of each trait, by which language model, with how much thinking: `low` (few and "
    "cheap), `medium`, `high`, `xhigh`, `max`. Null or left out: the model's own effort, else `high`. plan_synthesis "
    "tells what it would cost."
)
SYNTH_TYPE = (
    "`from_traits` (when left out) writes samples from what the traits mean. `diversify` writes variations of the "
    "samples that the model's author wrote, and needs some for both poles of each trait."
)


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool.

    ``operation`` is the id of the operation that it calls, and ``also`` that of a second one whose answer is added.
    ``arguments`` describes arguments to a language model, in the place of the operation's own words. ``then`` says in
    each answer what to do next; names in braces are fields of the answer.
    """

    name: str
    title: str
    operation: str
    description: str
    arguments: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reads_only: bool = True
    destroys: bool = False
    repeats_safely: bool = True
    asks_others: bool = False
    also: str = ""
    then: str = ""


TOOLS = (
    ToolEntry(
        name="list_models",
        title="List models",
        operation="list_models",
        also="list_namespaces",
        description="Lists the models of one namespace: for each its handle, what it judges, its state, the names of "
        "its traits, and its last run. Of a state, `draft` and `failed` take new samples, `busy` means that a run "
        "works on the model, and `ready` and `archived` are frozen. The answer also has all namespaces that can be "
        "listed.",
        arguments={
            "namespace": "The namespace to list, which is the part of a handle before its dot. `u22a8` when left out; "
            "`namespaces` of an answer has all.",
            "cursor": CURSOR,
        },
    ),
    ToolEntry(
        name="get_model",
        title="Read a model",
        operation="read_model",
        description="Reads one model: what it judges, its state, the names of its traits, and its last run with status "
        "and progress. Its card, with the brief and the counts of samples in words, is the resource "
        "`exemplars://models/<handle>`.",
        arguments={"handle": HANDLE},
    ),
    ToolEntry(
        name="list_traits",
        title="List traits",
        operation="list_traits",
        description="Lists the traits of a model. A trait is one axis of judgment with a positive pole (quality 1) and "
        "a negative pole (quality 0): for each its key, its name, what it asks of a text, what its poles are called, "
        "and how many samples there are at each.",
        arguments={"handle": HANDLE},
    ),
    ToolEntry(
        name="list_samples",
        title="List samples",
        operation="list_samples",
        description="Lists the labelled texts of a model, page by page: first those that its author wrote, then those "
        "that runs have made. `quality` is 1 at the positive pole of the trait and 0 at its negative one. The key has "
        "to own the namespace.",
        arguments={"handle": HANDLE, "trait": TRAIT, "cursor": CURSOR},
    ),
    ToolEntry(
        name="add_samples",
        title="Add samples",
        operation="add_samples",
        description="Adds labelled texts of your own to a draft model, 1 to 500 at a time, all or none. A sample that "
        "is there already answers with its id, so the same call again changes nothing. The same text for the same "
        "trait with another quality is refused, and `details` has the index of the first sample that is wrong.",
        arguments={"handle": HANDLE, "samples": "The samples to add, 1 to 500."},
        reads_only=False,
    ),
    ToolEntry(
        name="delete_sample",
        title="Delete a sample",
        operation="delete_sample",
        description="Takes one sample off a draft model: one that a run has made, or that was added by add_samples. A "
        "sample in a file that the model's author wrote is not deleted; the message names the file.",
        arguments={"handle": HANDLE, "sample_id": "The `id` of the sample, an integer, as list_samples shows it."},
        reads_only=False,
        destroys=True,
    ),
    ToolEntry(
        name="plan_synthesis",
        title="Plan a synthesis",
        operation="plan_synthesis",
        description="Tells what synthesize_samples with the same arguments would make and cost: the samples by trait "
        "and pole, the calls, tokens and cost in USD from low to high, and whether it would be refused. Asks no "
        "language model, writes nothing and costs nothing; it takes some seconds.",
        arguments={"handle": HANDLE, "synth_type": SYNTH_TYPE, "effort": EFFORT},
        then="synthesize_samples with the same arguments starts the run.",
    ),
    ToolEntry(
        name="synthesize_samples",
        title="Synthesize samples",
        operation="synthesize_samples",
        description="Starts a run that has a language model write labelled samples for a draft model, screens them, "
        "and attaches them if they pass the gate. It answers at once with a run id; the run takes minutes, and may "
        "cost money (plan_synthesis tells how much). Follow it with get_run. While it is queued or running the same "
        "call is refused as `already_running` with the id of that run: nothing is made twice.",
        arguments={"handle": HANDLE, "synth_type": SYNTH_TYPE, "effort": EFFORT},
        reads_only=False,
        repeats_safely=False,
        asks_others=True,
        then="The run is enqueued and works on by itself. Call get_run with run_id {run_id} every 10 to 30 seconds "
        "until its status is succeeded, failed or cancelled; then list_samples.",
    ),
    ToolEntry(
        name="get_run",
        title="Read a run",
        operation="read_run",
        description="Reads a run: its status (`queued`, `running`, `succeeded`, `failed`, `cancelled`) and progress, "
        "why it failed, how many samples it attached and why texts were rejected, and where its report is.",
        arguments={"run_id": "The run's id, a UUID: synthesize_samples answers with it, and `last_operation` has it."},
    ),
    ToolEntry(
        name="validate_model",
        title="Validate a model",
        operation="validate_model",
        description="Checks the files that define a model and the samples that its author wrote, and lists the "
        "mistakes, each with file, line and what is allowed. The files themselves cannot be changed by these tools.",
        arguments={"handle": HANDLE},
    ),
)
