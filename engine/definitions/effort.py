"""Read the effort dial, ``data/effort.yaml``, and return the settings of one effort level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from engine.definitions.mistakes import ClosedEntry, Findings, check_entries, validate_document
from engine.definitions.yaml_document import parse_yaml
from engine.domain.definition import as_texts
from engine.domain.model import EFFORTS, MOST_PER_POLE, Effort
from engine.errors import DefinitionError
from engine.settings import MOST_USD

DEFAULT_EFFORT: Effort = "high"
Size = Literal["small", "medium", "large"]
Thinking = Literal["none", "low", "medium", "high"]
Name = Annotated[str, Field(min_length=1)]
# One model or several: the first available one is used.
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


# A completion model (it continues a document) misses the request more often, so more candidates are generated. At
# eight exemplars a pole and the dial's 2.0, two of four sets resembled their seeds too little and got a warning at the
# gate; with this factor none did (docs/decisions/010-embedded.md).
MORE_OF_SMALL_MODELS = 1.5


@dataclass(frozen=True, slots=True)
class Level:
    """Settings of one effort. ``temperature`` is in [0, 2]; ``over_generation`` is candidates per quota, ≥ 1.

    ``replacement_rounds`` is the number of top-up rounds that may replace chosen exemplars that the probe puts on the
    wrong side or that carry a shortcut. With 0 none is replaced: exemplars with a shortcut are chosen last, exemplars
    on the wrong side are only reported. ``completes`` is true for a synth model that continues a document,
    ``is_own_count`` if the request sets the number of exemplars instead of the effort.
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
        """Candidates that the first round requests per exemplar; 1 means no choice, for completion models too."""
        return self.over_generation * (MORE_OF_SMALL_MODELS if self.completes and self.over_generation > 1 else 1)

    def ask_one_text(self) -> "Level":
        """Return the level for a completion model: one exemplar a call, and more candidates."""
        return replace(self, exemplars_per_call=1, completes=True)


def choose_effort(requested: Effort | None, model_effort: Effort | None) -> Effort:
    """Return the request's effort, else the model's, else ``high`` (the platform's contract, section 5)."""
    return requested or model_effort or DEFAULT_EFFORT


def name_higher_effort(remedy: str, effort: str) -> str:
    """Name the next higher effort in a remedy that says "at a higher effort"; omit that advice if none is higher."""
    higher = EFFORTS[EFFORTS.index(effort) + 1 :]
    return remedy.replace("run at a higher effort, or ", f"run at effort {higher[0]} or higher, or " if higher else "")


def write_first_look(path: str) -> str:
    """Return the dial at ``path`` with all levels reduced for a preview of the prompts' texts, as JSON (valid YAML).

    No text has to pass a gate, so each level requests exactly the quota, in one round, without votes.

    Raises:
        DefinitionError: as ``load_level``.
    """
    dial, _ = _read_dial(path)
    preview = {"over_generation": 1.0, "top_up_rounds": 0, "replacement_rounds": 0, "judge_votes": 0}
    levels = {effort: level.model_copy(update=preview) for effort, level in dial.levels.items()}
    return dial.model_copy(update={"levels": levels}).model_dump_json()


def load_level(path: str, effort: Effort, choose: Callable[[Sequence[str]], str] = itemgetter(0)) -> Level:
    """Read the level of an effort from the dial at ``path``.

    Args:
        choose: returns one of the synth models that the dial names for the level; by default the first.

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
