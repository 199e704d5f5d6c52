"""Draws the run page's picture as SVG: kept of wanted for each trait, and samples between its poles."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from engine.axis.pole_scores import measure_pole_positions
from engine.choosing.rounds import Rounds
from engine.domain.model import POLES, Pole, Trait
from engine.domain.samples import Exemplar
from engine.report.tables.charts import MAX_MARKS, WIDTH, lay_out_strip

# A picture with more traits is too long to be looked at; the report has them all.
MAX_TRAITS = 6

_LEFT = 16
_STRIP_X = 232
_BAR = 176
_NAME_HEIGHT = 24
_BAR_HEIGHT = 34
_LABEL_HEIGHT = 22
_GAP = 14
_LABEL_LENGTH = 28
_PAGE_WIDTH = _STRIP_X + WIDTH + 8

# The colours of engine/report/templates/report.css, on a background of its own: the page around it may be light or
# dark.
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2328}
.name{font-weight:600;font-size:15px}.small{font-size:12px;fill:#5a6068}
.rule{stroke:#dedad0}.empty{fill:#ece8de}.positive{fill:#0b5fa8}.negative{fill:#b65408}
.mark{fill:none;stroke-width:6.5}.mark.positive{stroke:#0b5fa8;stroke-linecap:round}
.mark.negative{stroke:#b65408;stroke-linecap:square;stroke-width:5}.rejected{stroke-opacity:.25}
"""


def draw_page(rounds: Rounds) -> str:
    """Draws the picture and returns its SVG. Rejected texts are pale; texts without a position are left out."""
    positions = measure_pole_positions(rounds.plan.axes, rounds.exemplars, rounds.embedder)
    kept = {exemplar.key for exemplar in rounds.choice.chosen}
    blocks, top = [], _GAP
    for trait in rounds.plan.model.traits[:MAX_TRAITS]:
        own = [exemplar for exemplar in rounds.exemplars if exemplar.trait == trait.key and exemplar.key in positions]
        block, height = _draw_trait(rounds, trait, own, positions, kept)
        blocks.append(f'<g transform="translate(0 {top})">{block}</g>')
        top += math.ceil(height) + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_PAGE_WIDTH}" height="{top}" '
        f'viewBox="0 0 {_PAGE_WIDTH} {top}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" rx="6" fill="#fcfbf8"/>{"".join(blocks)}</svg>'
    )


def _draw_trait(
    rounds: Rounds, trait: Trait, own: Sequence[Exemplar], positions: Mapping[str, float], kept: set[str]
) -> tuple[str, float]:
    """Draws one trait, bars on the left and the strip on the right; returns the SVG and its height."""
    parts = [f'<text class="name" x="{_LEFT}" y="16">{_cut(trait.name)}</text>']
    for number, pole in enumerate(POLES):
        count = rounds.choice.count(trait.key, pole)
        wanted, top = rounds.plan.quotas[trait.key, pole], _NAME_HEIGHT + number * _BAR_HEIGHT
        parts.append(_draw_bar(trait.label(pole), pole, count, wanted, top))
    bars = _NAME_HEIGHT + len(POLES) * _BAR_HEIGHT
    if len({positions[exemplar.key] for exemplar in own}) < 2:
        # All texts have one position: there are no seeds or names by which to tell them apart.
        return "".join(parts), bars
    strip, height = _draw_strip(trait, own, positions, kept)
    parts.append(f'<g transform="translate({_STRIP_X} 0)">{strip}</g>')
    return "".join(parts), max(bars, height)


def _draw_bar(label: str, pole: Pole, count: int, wanted: int, y: int) -> str:
    filled = round(_BAR * min(1.0, count / max(1, wanted)), 1)
    return (
        f'<text class="small" x="{_LEFT}" y="{y + 12}">{_cut(label)}: {count} of {wanted}</text>'
        f'<rect class="empty" x="{_LEFT}" y="{y + 17}" width="{_BAR}" height="8" rx="2"/>'
        f'<rect class="{pole}" x="{_LEFT}" y="{y + 17}" width="{filled}" height="8" rx="2"/>'
    )


def _draw_strip(
    trait: Trait, own: Sequence[Exemplar], positions: Mapping[str, float], kept: set[str]
) -> tuple[str, float]:
    """Draws marks between the poles, kept ones nearest to the line, in one path for each pole and status.

    Returns the SVG and its height.
    """
    ordered = sorted(own, key=lambda item: (item.key not in kept, positions[item.key]))
    drawn = ordered[:: math.ceil(len(ordered) / MAX_MARKS)]
    strip = lay_out_strip([(item.pole, positions[item.key]) for item in drawn])
    paths: dict[str, str] = {}
    # Rejected marks are drawn first, and kept ones over them.
    for item, (x, y) in reversed(list(zip(drawn, strip.points, strict=True))):
        style = f"mark {item.pole}" + ("" if item.key in kept else " rejected")
        paths[style] = paths.get(style, "") + f"M{x:g} {y:g}h.01"
    middle, bottom = WIDTH / 2, strip.height
    ends = (("start", 0, trait.negative_label), ("end", WIDTH, trait.positive_label))
    return (
        f'<path class="rule" d="M0 {strip.axis:g}H{WIDTH}M{middle:g} 0V{bottom:g}"/>'
        + "".join(f'<path class="{style}" d="{path}"/>' for style, path in paths.items())
        + "".join(
            f'<text class="small" x="{x}" y="{bottom + 14:g}" text-anchor="{anchor}">{_cut(label)}</text>'
            for anchor, x, label in ends
        ),
        bottom + _LABEL_HEIGHT,
    )


def _cut(text: str) -> str:
    """Shortens a label to the room that it has, and escapes it for XML, without control characters."""
    plain = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return escape(plain if len(plain) <= _LABEL_LENGTH else f"{plain[: _LABEL_LENGTH - 1]}…")
