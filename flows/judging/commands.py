"""The commands ``test`` and ``score``."""

from typing import Annotated

import typer

from flows.cli.options import JUDGE, HandleArgument, JsonOption, TraitOption

app = typer.Typer()


@app.command("test", rich_help_panel=JUDGE)
def hold_command(
    handle: HandleArgument,
    real: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="A CSV or JSONL file: the text in `content`, and a column for each trait with a pole's label, a word "
            "such as good or poor, or a number from 0 to 1. - reads stdin. Twenty texts a pole say a lot.",
        ),
    ],
    trait: TraitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test a model's attached samples against texts that you have labelled. Writes nothing."""
    from engine.settings import read_settings
    from flows.judging.real_texts import hold_samples, show_tests
    from flows.judging.scoring import load_scoring_set

    settings = read_settings()
    scoring = load_scoring_set(settings, handle, trait)
    show_tests(scoring, real, hold_samples(settings, scoring, real), as_json)


@app.command("score", rich_help_panel=JUDGE)
def score_command(
    handle: HandleArgument,
    text: Annotated[str, typer.Argument(help="The text; - for standard input.")],
    trait: TraitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grade one text by a model's attached samples. Writes nothing."""
    from engine.settings import read_settings
    from flows.judging.scoring import load_scoring_set, place_on_axes, show_placements

    scoring = load_scoring_set(read_settings(), handle, trait)
    show_placements(scoring, place_on_axes(scoring, text), as_json)
