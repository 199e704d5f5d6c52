"""Find talk about the task and gaps to be filled in by their form, and list the patterns that apply to a model.

Each pattern should be precise by itself: talk is about the requested text, and nobody writes such a gap on purpose. A
form that is ordinary in a model's own texts is no fault for this model (docs/decisions/004-screening.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from engine.domain.model import Model
from engine.domain.samples import Reason
from engine.settings import SHIPPED_ROOT

# More seeds give no more information about a genre. 2,000 texts and 45 patterns take a second.
MOST_SEEDS = 2000
_FILE = SHIPPED_ROOT / "data" / "patterns.yaml"
_PART = re.compile(r"<<(\w+)>>")
_QUOTED = re.compile(r"[\"“”„«‘`]([^\"“”»’`]{3,300})[\"“”»’`]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A fault that is recognised by its form.

    ``genre`` matches words of a model that imply that its texts have this form by nature; None if no genre has it.
    """

    name: str
    reason: Reason
    form: re.Pattern[str]
    genre: re.Pattern[str] | None = None


@cache
def load_patterns() -> tuple[Pattern, ...]:
    """Load the patterns of ``data/patterns.yaml``, in the order of the search."""
    given = _read_file()
    parts: dict[str, str] = given["parts"]

    def compile_form(form: str) -> re.Pattern[str]:
        whole = "".join(form.split("\n"))
        while named := _PART.search(whole):
            whole = whole.replace(named[0], "".join(parts[named[1]].split("\n")))
        return re.compile(whole, re.IGNORECASE)

    patterns = [
        Pattern(item["name"], item["reason"], *(compile_form(item[key]) for key in ("form", "genre") if key in item))
        for item in given["patterns"]
    ]
    patterns += [
        Pattern(f"{word!r} before a text", "meta_talk", compile_form(rf"<<start>>(?:{word})\s?\d*[*_]*\s*[:：]"))
        for word in given["before_a_text"]
    ]
    patterns += [
        Pattern(f"{label!r} before a text", "prompt_echo", compile_form(rf"^{label}\s*:")) for label in given["labels"]
    ]
    return tuple(patterns)


@cache
def load_particles() -> frozenset[str]:
    """Load words that begin and end texts on any subject, such as "yes"."""
    return frozenset(_read_file()["particles"].split())


def find_pattern(text: str, reason: Reason, waived: frozenset[str]) -> str | None:
    """Return the first match of a pattern for ``reason`` in a text; patterns with names in ``waived`` are skipped."""
    forms = (item.form for item in load_patterns() if item.reason == reason and item.name not in waived)
    return next((match.group() for form in forms if (match := form.search(text))), None)


def list_waived_patterns(model: Model, forms: Sequence[str] = ()) -> frozenset[str]:
    """List the names of the patterns that do not apply to a model, because its own texts or its genre have them.

    Own texts are the seeds of both poles, and the text and quotations of description, brief, traits and forms.

    Args:
        forms: the scenarios' forms.
    """
    traits = (text for trait in model.traits for text in trait.descriptions)
    words = [model.description, *model.brief.in_scope, *forms, *traits]
    quoted = (quote for text in words for quote in _QUOTED.findall(text))
    texts = [*(seed.text for seed in model.sample_seeds(MOST_SEEDS)), *words, *quoted]
    return frozenset(
        pattern.name
        for pattern in load_patterns()
        if any(map(pattern.form.search, texts)) or (pattern.genre and any(map(pattern.genre.search, words)))
    )


@cache
def _read_file() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
