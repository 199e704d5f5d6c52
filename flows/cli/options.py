"""The arguments and options that several commands have."""

from typing import Annotated

import typer

HandleArgument = Annotated[
    str, typer.Argument(help="The model, as <namespace>.<name>, such as u22a8.technical-writing.")
]
SynthTypeOption = Annotated[
    str,
    typer.Option(help="from_traits, diversify (authored samples varied) or enrich (a pool for evaluation)."),
]
EffortOption = Annotated[
    str | None, typer.Option(help="low, medium, high, xhigh or max; else the model's own, or high.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Attach nothing where nothing tells the poles of a trait apart.")
]
TraitOption = Annotated[str | None, typer.Option(help="One trait by its key or name; else all of the model's.")]
