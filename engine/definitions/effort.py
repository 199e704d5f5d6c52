"""Reads the effort dial, ``data/effort.yaml``, into the level that a run works at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from engine.definitions.mistakes import ClosedEntry, Findings, as_texts, check_entries, validate_document
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import EFFORTS, MOST_PER_POLE, Effort
from engine.errors import DefinitionError
from engine.settings import MOST_USD

DEFAULT_EFFORT: Effort = "high"
Size = Literal["small", "medium", "large"]
Thinking = Literal["none", "low", "medium", "high"]
Name = Annotated[str, Field(min_length=1)]
# One model or several: the first that can be asked is taken.
Names = Annotated[tuple[Name, ...], BeforeValidator(as_texts), AfterValidator(check_entries)]


class _Level(ClosedEntry):
    exemplars_per_pole: Annotated[int, Field(ge=1, le=MOST_PER_POLE)]
    synth_model: Size
    thinking: Thinking
    judge_votes: Annotated[int, Field(ge=0, le=99)]
    top_up_rounds: Annotated[int, Field(ge=0, le=1000)]
    over_generation: Annotated[float, Field(ge=1, le=20, allow_inf_nan=False)]
    exemplars_per_call: Annotated[int, Field(ge=1, le=50)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    replacement_rounds: Annotated[int, Field(ge=0, le=100)] = 0
    max_cost_usd: Annotated[float, Field(gt=0, le=MOST_USD)] | None = None


class _Models(ClosedEntry):
    small: Names
    medium: Names
    large: Names
    judge: Name


class _Dial(ClosedEntry):
    models: _Models
    levels: dict[Effort, _Level]


# A model that goes on with a document writes less of the kind that was asked for, so that the choice needs more: at
# eight a pole with the dial's 2.0 two of four sets were less like their seeds than the gate lets pass unwarned, with
# this none (docs/decisions/010-embedded.md).
MORE_OF_SMALL_MODELS = 1.5


@dataclass(frozen=True, slots=True)
class Level:
    """What one effort stands for. ``temperature`` is in [0, 2]; ``over_generation`` is candidates over quota, ≥ 1.

    ``replacement_rounds`` is how many of the top-up rounds may be spent on replacing chosen exemplars that lie on the
    wrong side by the probe or carry a shortcut. With 0 nothing is asked for in their place: those with a shortcut are
    chosen last, those on the wrong side are only reported. ``completes`` is whether the synth model is one that goes on
    with a document, ``is_own_count`` whether the number of exemplars is the request's and not the effort's.
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
    completes: bool = False
    is_own_count: bool = False

    @property
    def texts_a_kept(self) -> float:
        """How many texts the first round asks for, for each that is wanted; of 1 there is nothing to choose from."""
        return self.over_generation * (MORE_OF_SMALL_MODELS if self.completes and self.over_generation > 1 else 1)

    def ask_one_text(self) -> "Level":
        """Returns the level for a synth model that goes on with a document: it writes one exemplar a call, and more."""
        return replace(self, exemplars_per_call=1, completes=True)


def choose_effort(asked: Effort | None, own: Effort | None) -> Effort:
    """Returns the request's effort, else the model's own, else ``high`` (the platform's contract, section 5)."""
    return asked or own or DEFAULT_EFFORT


def name_higher_effort(remedy: str, effort: str) -> str:
    """Name the effort above a run's in a remedy that says "at a higher effort", or leave it out if there is none."""
    higher = EFFORTS[EFFORTS.index(effort) + 1 :]
    return remedy.replace("run at a higher effort, or ", f"run at effort {higher[0]} or higher, or " if higher else "")


def write_first_look(path: str) -> str:
    """Writes the dial at ``path`` anew for a look at what the prompts make: as JSON, which is YAML.

    Nothing has to pass a gate, so just the texts that are wanted are asked for, once, and none is voted on.

    Raises:
        DefinitionError: as ``load_level``.
    """
    dial, _ = _read_dial(path)
    look = {"over_generation": 1.0, "top_up_rounds": 0, "replacement_rounds": 0, "judge_votes": 0}
    levels = {effort: level.model_copy(update=look) for effort, level in dial.levels.items()}
    return dial.model_copy(update={"levels": levels}).model_dump_json()


def load_level(path: str, effort: Effort, choose: Callable[[Sequence[str]], str] = itemgetter(0)) -> Level:
    """Reads the level of an effort from the dial at ``path``.

    Args:
        choose: takes one of the synth models that the dial names for the level; the first where it is not given.

    Raises:
        DefinitionError: the file is missing or is not a valid dial; it carries every mistake found.
    """
    dial, findings = _read_dial(path)
    if effort not in dial.levels:
        findings.add(("levels",), f"no {effort!r}", ", ".join(EFFORTS))
        raise findings.make_error()
    level = dial.levels[effort]
    models = {"synth_model": choose(getattr(dial.models, level.synth_model)), "judge_model": dial.models.judge}
    return Level(effort=effort, **level.model_dump() | models)


def _read_dial(path: str) -> tuple[_Dial, Findings]:
    try:
        content = FilePath(path).read_bytes()
    except OSError as error:
        raise DefinitionError.of_file(path, error.strerror or "an error", "a readable effort dial") from None
    return validate_document(parse_yaml(FilePath(path).name, content), _Dial)
