"""The arguments and options that several commands have, and the groups of commands that the help shows."""

from typing import Annotated, Any

import typer

# The groups of `exemplars --help`, in their order.
GROUPS = BEGIN, MAKE, JUDGE, HAND_ON, KEEP = (
    "Begin a model",
    "Make samples",
    "Judge samples",
    "Hand samples on",
    "Keep house",
)

# What stands for standard input in the place of a file or a text.
STDIN = "-"

LABELLED_HELP = (
    "A CSV or JSONL file: the text in `content` or `text`, and a column for each trait with a pole's label, a word "
    "such as good or poor, or a number from 0 to 1."
)


def read_id(given: str) -> int:
    """Reads a sample's id.

    Raises:
        BadParameter: it is no number.
    """
    if given.isdecimal():
        return int(given)
    raise typer.BadParameter(
        f"{given!r} is no id. An id is a number: `id` in the files and, in the report's table, under ▶ beside *Subject*"
    )


HandleArgument = Annotated[
    str, typer.Argument(help="The model, as <namespace>.<name>, such as u22a8.technical-writing.")
]
HandlesArgument = Annotated[list[str] | None, typer.Argument(help="The models. --namespace and --glob add to them.")]
# Lists, so that a second value is refused and does not silently replace the first.
NamespaceOption = Annotated[list[str] | None, typer.Option(help="All models of a namespace.")]
GlobOption = Annotated[
    list[str] | None, typer.Option(help="All models whose handle fits a pattern, such as 'u22a8.*-report'.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Make another set even where a model has one for its definition as it is.")
]
SynthTypeOption = Annotated[
    str,
    typer.Option(
        help="What to make: from_traits, diversify (vary your own samples) or enrich (a pool apart, for evaluation)."
    ),
]
EffortOption = Annotated[
    str | None,
    typer.Option(
        help="How many samples a pole: low 8, medium 20, high 40, xhigh 80, max 160. Default: the model's own, or high."
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict", help="Attach nothing if a trait's poles cannot be told apart. Without it that is a warning."
    ),
]
OnlyLackingOption = Annotated[
    bool, typer.Option("--only-lacking", help="Fill up: make only what each pole is short of the effort's number.")
]
RefreshOption = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Make anew what is of an older definition (traits, brief …, not samples). All older sets of the pool go "
        "with the new one, those of diversify too.",
    ),
]
PerPoleOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many samples a pole, in place of the effort's number. Below 8 variety, word order and likeness to "
        "the seeds are not checked, below 4 nor how well poles are told apart.",
    ),
]
BatchOption = Annotated[
    str,
    typer.Option(
        metavar="[first|all]",
        help="Ask in files that the provider answers within a day, at about half the price: the first round's calls, "
        "or with --batch=all votes and further rounds too, a day each.",
    ),
]
TraitOption = Annotated[str | None, typer.Option(help="One trait, by its key or name. Without it all.")]
RunOption = Annotated[str | None, typer.Option(metavar="RUN_ID", help="Only this run's set.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Show what Prefect and the libraries log.")]


def json_option(facts: str = "the same facts") -> Any:
    """The option ``--json``, which prints one last line of JSON with these facts."""
    return typer.Option("--json", help=f"Print one line of JSON: {facts}.")


JsonOption = Annotated[bool, json_option()]
