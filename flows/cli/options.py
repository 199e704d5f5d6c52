"""Arguments and options that several commands share, and the groups of commands in the help."""

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

# Stands for standard input, in place of a file or a text.
STDIN = "-"

LABELLED_HELP = (
    "A CSV, JSONL or Parquet file: the text in `content` or `text`, and a column for each trait with a pole's label, a "
    "word such as good or poor, or a number from 0 to 1."
)


def read_id(given: str) -> int:
    """Read a sample's id.

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
# Lists, so that a second value is refused instead of silently replacing the first.
NamespaceOption = Annotated[list[str] | None, typer.Option(help="All models of a namespace.")]
GlobOption = Annotated[
    list[str] | None, typer.Option(help="All models whose handle fits a pattern, such as 'u22a8.*-report'.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Make another set even if a model has one for its present definition.")
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
        "--strict", help="Attach nothing if a trait's poles cannot be separated. Without it that is a warning."
    ),
]
OnlyLackingOption = Annotated[
    bool,
    typer.Option(
        "--only-lacking", help="Fill up: make only the samples that each pole is short of the effort's number."
    ),
]
RefreshOption = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Replace sets of an older definition (traits, brief …, not samples). All older sets of the pool go when "
        "the new one is attached, also sets of diversify.",
    ),
]
PerPoleOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many samples a pole, in place of the effort's number. Below 8, diversity, word order and likeness to "
        "the seeds are not checked; below 4, the separation of the poles is not checked either.",
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
    """Return the option ``--json``, which prints one last line of JSON with these facts."""
    return typer.Option("--json", help=f"Print one line of JSON: {facts}.")


JsonOption = Annotated[bool, json_option()]
