"""The commands ``test`` and ``score``."""

from typing import Annotated

import typer

from engine.settings import read_settings
from flows.cli.options import JUDGE, LABELLED_HELP, HandleArgument, JsonOption, TraitOption

app = typer.Typer()


@app.command("test", rich_help_panel=JUDGE, epilog="Example: exemplars test acme.reviews --real labelled.csv")
def evaluate_command(
    handle: HandleArgument,
    real: Annotated[
        str, typer.Option(metavar="FILE", help=f"{LABELLED_HELP} - reads stdin. Twenty texts a pole say a lot.")
    ],
    trait: TraitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test a model's samples, attached and authored, against texts that you have labelled. Writes nothing."""
    from flows.cli.labelled_file import read_labelled_file
    from flows.evaluation.real_texts import evaluate_samples, show_test
    from flows.evaluation.scoring import load_scoring_set

    settings = read_settings()
    scoring = load_scoring_set(settings, handle, trait)
    labelled = read_labelled_file(settings, handle, real, scoring.only)
    show_test(scoring, evaluate_samples(scoring, labelled), as_json)


@app.command("score", rich_help_panel=JUDGE, epilog='Example: exemplars score u22a8.technical-writing "Press Save."')
def score_command(
    handle: HandleArgument,
    text: Annotated[str, typer.Argument(help="The text; - for standard input.")],
    trait: TraitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grade one text by a model's attached samples. Writes nothing."""
    from flows.evaluation.scoring import load_scoring_set, place_on_axes, read_text, show_placements

    scoring = load_scoring_set(read_settings(), handle, trait)
    placed = place_on_axes(scoring, [read_text(text)])
    show_placements(scoring, {key: placement for key, [placement] in placed.items()}, as_json)
