"""The run page's picture, one SVG file: for each trait how many are kept of how many wanted, and where samples lie."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from engine.domain.model import POLES, Pole, Trait
from engine.domain.samples import Exemplar
from engine.quality.pole_scores import measure_pole_positions
from engine.report.charts import MAX_MARKS, WIDTH, lay_out_strip
from engine.selection.rounds import Rounds

# More traits than these make a picture that nobody looks at; the report has them all.
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

# Colours are those of engine/report/templates/report.css, the ground is its own: the page around it is light or dark.
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2328}
.name{font-weight:600;font-size:15px}.small{font-size:12px;fill:#5a6068}
.rule{stroke:#dedad0}.empty{fill:#ece8de}.positive{fill:#0b5fa8}.negative{fill:#b65408}
.mark{fill:none;stroke-width:6.5}.mark.positive{stroke:#0b5fa8;stroke-linecap:round}
.mark.negative{stroke:#b65408;stroke-linecap:square;stroke-width:5}.rejected{stroke-opacity:.25}
"""


def draw_page(rounds: Rounds) -> str:
    """The SVG text. What is rejected is drawn faintly; texts that have no place between the poles are left out."""
    positions = measure_pole_positions(rounds.plan.model, rounds.exemplars, rounds.embedder)
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
    """One trait, bars on the left and the strip on the right, and its height."""
    parts = [f'<text class="name" x="{_LEFT}" y="16">{_cut(trait.name)}</text>']
    for number, pole in enumerate(POLES):
        count = rounds.choice.count(trait.key, pole)
        parts.append(_draw_bar(trait.label(pole), pole, count, rounds.plan.wanted, _NAME_HEIGHT + number * _BAR_HEIGHT))
    bars = _NAME_HEIGHT + len(POLES) * _BAR_HEIGHT
    if len({positions[exemplar.key] for exemplar in own}) < 2:
        # One place for all: there are no seeds and no names by which they could be told apart.
        return "".join(parts), bars
    strip, height = _draw_strip(trait, own, positions, kept)
    parts.append(f'<g transform="translate({_STRIP_X} 0)">{strip}</g>')
    return "".join(parts), max(bars, height)


def _draw_bar(label: str, pole: Pole, count: int, wanted: int, y: int) -> str:
    filled = round(_BAR * min(1.0, count / wanted), 1)
    return (
        f'<text class="small" x="{_LEFT}" y="{y + 12}">{_cut(label)}: {count} of {wanted}</text>'
        f'<rect class="empty" x="{_LEFT}" y="{y + 17}" width="{_BAR}" height="8" rx="2"/>'
        f'<rect class="{pole}" x="{_LEFT}" y="{y + 17}" width="{filled}" height="8" rx="2"/>'
    )


def _draw_strip(
    trait: Trait, own: Sequence[Exemplar], positions: Mapping[str, float], kept: set[str]
) -> tuple[str, float]:
    """Marks between the poles, what is kept nearest to the line; one path for each pole, kept and rejected."""
    ordered = sorted(own, key=lambda item: (item.key not in kept, positions[item.key]))
    drawn = ordered[:: math.ceil(len(ordered) / MAX_MARKS)]
    strip = lay_out_strip([(item.pole, positions[item.key]) for item in drawn])
    paths: dict[str, str] = {}
    # Rejected ones first: what is kept is drawn over them.
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
    """A label that has room, as XML, which takes no control characters."""
    plain = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return escape(plain if len(plain) <= _LABEL_LENGTH else f"{plain[: _LABEL_LENGTH - 1]}…")
