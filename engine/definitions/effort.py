"""Reads the effort dial, ``data/effort.yaml``, into the level that a run works at."""

from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import EFFORTS, Effort
from engine.errors import DefinitionError, Problem
from engine.settings import MOST_USD

DEFAULT_EFFORT: Effort = "high"
Size = Literal["small", "medium", "large"]
Thinking = Literal["none", "low", "medium", "high"]


class _Level(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    exemplars_per_pole: Annotated[int, Field(ge=1, le=1_000_000)]
    synth_model: Size
    thinking: Thinking
    judge_votes: Annotated[int, Field(ge=0, le=99)]
    top_up_rounds: Annotated[int, Field(ge=0, le=1000)]
    over_generation: Annotated[float, Field(ge=1, le=20, allow_inf_nan=False)]
    exemplars_per_call: Annotated[int, Field(ge=1, le=50)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    replacement_rounds: Annotated[int, Field(ge=0, le=100)] = 0
    max_cost_usd: Annotated[float, Field(gt=0, le=MOST_USD)] | None = None


class _Models(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    small: Annotated[str, Field(min_length=1)]
    medium: Annotated[str, Field(min_length=1)]
    large: Annotated[str, Field(min_length=1)]
    judge: Annotated[str, Field(min_length=1)]


class _Dial(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: _Models
    levels: dict[Effort, _Level]


@dataclass(frozen=True, slots=True)
class Level:
    """What one effort stands for. ``temperature`` is in [0, 2]; ``over_generation`` is candidates over quota, ≥ 1.

    ``replacement_rounds`` is how many of the top-up rounds may be spent on replacing chosen exemplars that lie on the
    wrong side by the probe or carry a shortcut. With 0 nothing is asked for in their place: those with a shortcut are
    chosen last, those on the wrong side are only reported. ``ignored_per_call`` is what the dial says of exemplars a
    call where the synth model writes one, whatever it is asked; else None.
    """

    effort: Effort
    exemplars_per_pole: int
    synth_model: str
    judge_model: str
    thinking: Thinking
    judge_votes: int
    top_up_rounds: int
    over_generation: float
    exemplars_per_call: int
    temperature: float
    replacement_rounds: int = 0
    max_cost_usd: float | None = None
    ignored_per_call: int | None = None

    def ask_one_text(self) -> "Level":
        """Returns the level for a synth model that goes on with a document: it writes one exemplar a call."""
        if self.exemplars_per_call == 1:
            return self
        return replace(self, exemplars_per_call=1, ignored_per_call=self.exemplars_per_call)


def choose_effort(asked: Effort | None, own: Effort | None) -> Effort:
    """Returns the request's effort, else the model's own, else ``high`` (the platform's contract, section 5)."""
    return asked or own or DEFAULT_EFFORT


def load_level(path: str, effort: Effort) -> Level:
    """Reads the level of an effort from the dial at ``path``.

    Raises:
        DefinitionError: the file is missing or is not a valid dial; it carries every mistake found.
    """
    name = FilePath(path).name
    try:
        content = FilePath(path).read_bytes()
    except OSError as error:
        found = error.strerror or "an error"
        raise DefinitionError(name, [Problem(path, None, "file", found, "a readable effort dial")]) from None
    document = parse_yaml(name, content)
    try:
        dial = _Dial.model_validate(document.value)
    except ValidationError as error:
        problems = [
            Problem(name, document.line(item["loc"]), _name_field(item["loc"]), *_describe(item))
            for item in error.errors()
        ]
        raise DefinitionError(name, problems) from None
    if effort not in dial.levels:
        raise DefinitionError(
            name, [Problem(name, document.line(("levels",)), "levels", f"no {effort!r}", ", ".join(EFFORTS))]
        )
    level = dial.levels[effort]
    return Level(
        effort=effort,
        **level.model_dump(exclude={"synth_model"}),
        synth_model=str(getattr(dial.models, level.synth_model)),
        judge_model=dial.models.judge,
    )


def _name_field(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path if part != "[key]") or "file"


def _describe(item: object) -> tuple[str, str]:
    assert isinstance(item, dict)
    if item["type"] == "missing":
        return "nothing", "this field is required"
    if item["type"] == "extra_forbidden":
        part = _Level if len(item["loc"]) > 2 else _Models if len(item["loc"]) > 1 else _Dial
        return f"the unknown field {item['loc'][-1]!r}", "one of " + ", ".join(part.model_fields)
    allowed = "an object of fields" if item["type"] in ("model_type", "dict_type") else str(item["msg"]).lower()
    return "nothing" if item["input"] is None else repr(item["input"])[:80], allowed
