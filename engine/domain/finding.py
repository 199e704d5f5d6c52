"""Define findings: the results of checks on a set, as values that programs can branch on and people can read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from engine.domain.definition import Pole

Severity = Literal["critical", "warning", "info"]
# Codes of findings, with their meanings. The code of an unmet expectation of Great Expectations is its type.
CODES: Mapping[str, str] = {
    "missing_exemplars": "a pole has fewer exemplars than its quota",
    "suite_not_run": "a suite, or an expectation of it, could not be checked",
    "inseparable": "no measure separates the poles in all accepted texts; critical with `--strict`",
    "hardly_separated": "the probe hardly separates the poles in the kept samples",
    "wrong_side": "kept samples read like the other pole",
    "shortcut_length": "the number of words alone separates the poles (above AUC 0.8 as the gate's expectation)",
    "shortcut_punctuation": "punctuation alone separates the poles",
    "shortcut_subject": "the subjects alone separate the poles",
    "shortcut_opening": "the first word alone separates the poles",
    "shortcut_word": "one word alone separates the poles",
    "older_definition": "a proposed set was made for an older definition than the present one",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check on a set that people should know, with its remedy.

    Args:
        code: a key of ``CODES``, or the type of an expectation.
        text: what was found, without a full stop; ``headline`` says it in a few words, if a run's headline may have it.
        remedy: what to do, as a sentence; if there is a ``command``, it ends the sentence.
        trait: a trait's key; None for a finding on the whole set, and of the gate.
        numbers: the measured values by name, such as ``auc``; of the gate, those that the expectation observed.
        suite: the suite of Great Expectations that it comes from; empty otherwise.
    """

    code: str
    severity: Severity
    text: str
    remedy: str = ""
    command: str = ""
    headline: str = ""
    trait: str | None = None
    pole: Pole | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    sample_ids: tuple[int, ...] = ()
    suite: str = ""

    def __str__(self) -> str:
        """Return the finding in sentences: “clarity: 2 of its 16 samples read like the other pole. Read them.”"""
        return f"{self.sentences} {self.command}".rstrip()

    @property
    def sentences(self) -> str:
        """Return what was found and what to do; with a colon at the end if there is a command."""
        subject = ", ".join(filter(None, (self.trait, self.pole)))
        sentences = f"{subject}{': ' if subject else ''}{self.text}. {self.remedy}".rstrip()
        return f"{sentences}:" if self.command else sentences


def write_findings(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Return findings as values for JSON."""
    return [asdict(finding) for finding in findings]


def read_findings(document: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return the findings of a ``verdict.json``; fields of another version are left out."""
    known = {each.name for each in fields(Finding)}
    return tuple(
        Finding(
            **{name: item[name] for name in known & set(item)} | {"sample_ids": tuple(item.get("sample_ids") or ())}
        )
        for item in document.get("findings") or ()
    )
