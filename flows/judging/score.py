"""The work of ``exemplars score``: places one text on the axis of each trait's attached samples."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from rich.text import Text

from engine.axis.breaks import MIN_TEXTS
from engine.axis.separation import name_group
from engine.domain.model import Pole
from engine.errors import InputError
from engine.judging.real_texts import MAX_CHARACTERS, Placement, place_text
from flows.cli.console import make_console, make_table
from flows.judging.scoring_set import (
    NOTHING,
    STDIN,
    ScoringSet,
    ask_for_samples,
    check_language,
    draw_attached,
    label_texts,
)


def place_on_axes(scoring: ScoringSet, text: str) -> dict[str, Placement]:
    """Places a text on the axis of each trait that has samples at both poles, by trait key.

    Args:
        text: the text, or ``-`` for that of standard input.

    Raises:
        InputError: the text cannot be placed, or there are no samples to place it by.
    """
    given = (_read_standard_input() if text == STDIN else text).strip()
    if not given:
        raise InputError("The text is empty. Give at least a sentence")
    if len(given) > MAX_CHARACTERS:
        raise InputError(f"The text is longer than {MAX_CHARACTERS:,} characters. Give a part of it")
    check_language([given], "The text is")
    vector = scoring.embedder.embed([given])
    placements = {}
    for trait in scoring.traits:
        drawn = draw_attached(scoring, trait)
        samples = label_texts(scoring, drawn)
        if samples.has_both_poles:
            groups = [name_group(sample.pair_id, sample.seed_sha256, sample.text) for sample in drawn]
            placements[trait.key] = place_text(samples, groups, vector)
    if not placements:
        raise InputError(". ".join(ask_for_samples(scoring, trait) for trait in scoring.traits))
    return placements


def show_placements(scoring: ScoringSet, placements: Mapping[str, Placement], as_json: bool = False) -> None:
    """Prints where a text lies on the axis of each trait."""
    if as_json:
        placed = [
            {"trait": key, "leans_to": _find_side(item.score), **asdict(item)} for key, item in placements.items()
        ]
        print(json.dumps({"handle": scoring.model.handle, "traits": placed}))
        return
    console = make_console()
    table = make_table("trait", "score", "leans to", "grade", "confidence")
    for key, item in placements.items():
        pole = _find_side(item.score)
        lean = scoring.model.trait(key).label(pole) if pole else "neither pole"
        band, confidence = (item.grade.band, item.grade.confidence) if item.grade else (None, None)
        table.add_row(*map(Text, (key, f"{item.score:+.3f}", lean, band or NOTHING, confidence or NOTHING)))
    console.print(table)
    for key, item in placements.items():
        for line in _explain_placement(item):
            console.print(Text(f"{key}: {line}"))
    console.print("Scores are differences of cosines; 0 is the middle between the poles")


def _read_standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("The text on standard input is not UTF-8. Write it as UTF-8") from None


def _find_side(score: float) -> Pole | None:
    return None if score == 0 else "positive" if score > 0 else "negative"


def _explain_placement(placement: Placement) -> Iterator[str]:
    breaks = placement.breaks
    if breaks is None:
        yield f"no grade, since a pole has fewer than {MIN_TEXTS} attached samples"
        return
    yield f"developing from {breaks.developing:+.3f}, solid from {breaks.solid:+.3f}, strong from {breaks.strong:+.3f}"
    if breaks.overlap:
        yield "no grade, since the attached samples of the two poles overlap"
