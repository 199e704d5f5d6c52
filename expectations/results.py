"""Read the results of Great Expectations as results of the gate, and join them into its verdict."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.finding import Finding, Severity
from engine.domain.verdict import GATE_SUITES, ExpectationResult, Verdict
from engine.text.formatting import shorten

# The number of unexpected values that are quoted, and the quoted length of each.
QUOTED, QUOTED_CHARS = 2, 80


@dataclass(frozen=True, slots=True)
class Outcome:
    """One suite's results, GX's raw result, and in ``broken`` sentences on faults of the suite itself.

    The result of an expectation that raised has the error message as its observed value.
    """

    suite: str
    results: tuple[ExpectationResult, ...]
    broken: tuple[str, ...]
    result: Mapping[str, Any]


def join_outcomes(outcomes: Iterable[Outcome]) -> Verdict:
    """Join the outcomes of suites into one verdict, which fails on any broken suite or critical failure."""
    outcomes = tuple(outcomes)
    results = tuple(result for outcome in outcomes for result in outcome.results)
    broken = [
        Finding("suite_not_run", "critical", sentence.strip().removesuffix("."), suite=outcome.suite)
        for outcome in outcomes
        for sentence in outcome.broken
    ]
    missed = [_make_finding(result) for result in results if not result.success]
    suites = {outcome.suite: outcome.result for outcome in outcomes}
    return Verdict((*broken, *missed), results, suites)


def read_outcome(
    suite: str, count: int, result: Mapping[str, Any], broken: Iterable[str] = (), remedy: str = ""
) -> Outcome:
    """Read the result of a suite, in the order of its file.

    Too few results, or an expectation that raised, is a failure of any severity: the expectation was not checked.

    Args:
        count: the number of expectations in the suite.
        broken: sentences on faults of the suite itself.
        remedy: what to do if a critical expectation without its own remedy is not met.
    """
    items, sentences = result["results"], list(broken)
    if len(items) != count:
        sentences.append(f"The suite {suite!r} gave {len(items)} results for {count} expectations.")
    sentences += [
        f"The expectation {item['expectation_config']['type']!r} of the suite {suite!r} raised: {message}"
        for item in items
        if (message := _find_exception(item.get("exception_info")))
    ]
    return Outcome(suite, tuple(_read_result(suite, item, remedy) for item in items), tuple(sentences), result)


def _read_result(suite: str, item: Mapping[str, Any], remedy: str) -> ExpectationResult:
    config, result = item["expectation_config"], item.get("result") or {}
    meta = config.get("meta") or {}
    # Every other severity is critical, so that an unknown one fails closed.
    severity: Severity = config["severity"] if config.get("severity") in ("warning", "info") else "critical"
    observed = result.get("observed_value")
    if observed is None and "unexpected_count" in result:
        observed = f"{result['unexpected_count']} of {result.get('element_count', '?')} rows unexpected"
        if quoted := [*dict.fromkeys(map(_quote, result.get("partial_unexpected_list") or ()))]:
            observed += f", such as {' and '.join(quoted[:QUOTED])}"
    raised = _find_exception(item.get("exception_info"))
    return ExpectationResult(
        suite=suite,
        code=str(config["type"]),
        name=str(meta.get("says") or config.get("description") or _name_expectation(config)),
        success=bool(item["success"]) and raised is None,
        severity=severity,
        observed=raised or _shorten(observed),
        numbers=_list_numbers(result),
        faults=tuple((result.get("details") or {}).get("faults", ())),
        remedy=str(meta.get("do") or (remedy if severity == "critical" else "")),
    )


def _name_expectation(config: Mapping[str, Any]) -> str:
    """Return a clause for an expectation that has none: “expect_… holds (column text, regex …)”."""
    kwargs = [
        f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in config["kwargs"].items()
        if name != "batch_id"
    ]
    return _shorten(f"{config['type']} holds" + (f" ({', '.join(kwargs)})" if kwargs else ""))


def _quote(value: object) -> str:
    text = shorten(" ".join(value.split()) if isinstance(value, str) else repr(value), QUOTED_CHARS)
    return f"“{text}”" if isinstance(value, str) else text


def _find_exception(info: Any) -> str | None:
    """Return the error message of an expectation, from either form of GX's ``exception_info``: flat, or one for each
    metric; None if it did not raise.
    """
    if not isinstance(info, Mapping):
        return None
    if info.get("raised_exception"):
        return str(info.get("exception_message") or "an exception without a message")
    return next((message for value in info.values() if (message := _find_exception(value))), None)


def _make_finding(result: ExpectationResult) -> Finding:
    faults = "; ".join(result.faults[:5]) or result.observed
    expected = "Expected" if result.suite in GATE_SUITES else f"The suite {result.suite!r} expected"
    text = f"{expected} that {result.name}: {faults}"
    return Finding(result.code, result.severity, text, result.remedy, numbers=result.numbers, suite=result.suite)


def _list_numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a result by name: the observed ones, and the counts of rows and of unexpected ones."""
    observed = result.get("observed_value")
    values = dict(observed) if isinstance(observed, Mapping) else {"observed": observed}
    values |= {"unexpected": result.get("unexpected_count"), "rows": result.get("element_count")}
    return {
        str(name): value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _shorten(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {item}" for name, item in value.items())
    elif isinstance(value, list):
        text = f"{len(value)} of them"
    else:
        text = "" if value is None else str(value)
    return shorten(text, 200)
