"""Writes what to do next after a run, as the run page has it: open the report, use the samples, or start again."""

import json
import re

from engine.choosing.rounds import Rounds
from engine.domain.model import Model
from engine.domain.verdict import Verdict
from engine.report.headline import list_warnings
from engine.store.layout import REPORT, SAMPLES
from engine.store.store import StoredSet


def write_next_steps(rounds: Rounds, verdict: Verdict, stored: StoredSet, api_url: str | None) -> str:
    """Writes the steps as markdown; ``api_url`` is the HTTP API's address, None if there is none."""
    report = _write_report_step(stored, api_url)
    if verdict.proposed:
        return "\n\n".join(["## Next", *_write_review_steps(stored, report, api_url)])
    if verdict.success:
        use = "**Evaluate** with the samples" if rounds.plan.synth_type == "enrich" else "**Use** the samples"
        first = ", once you have read the warnings below" if list_warnings(rounds, verdict) else ""
        code = _write_code("python", *write_reading(stored.file(SAMPLES)))
        return "\n\n".join(["## Next", report, f"{use}{first}:", code])
    again = "**Start again** when that is done. What was answered is kept, so only what is lacking is asked for:"
    command = format_command(rounds.plan.model, rounds.plan.synth_type, rounds.plan.level.effort)
    if rounds.is_hopeless:
        again = "**Start again** with another model. To ask the same one anew, drop its replies first:"
        command = f"exemplars cache clear {rounds.plan.model.handle}\n{command}"
    return "\n\n".join(["## Next", report, again, _write_code("sh", command)])


def write_reading(place: str) -> tuple[str, str]:
    """Writes two lines of Python that read the samples at a path or URI with pandas."""
    # The query of a URI is Arrow's own; pandas takes the address of a server from AWS's variables.
    read = re.sub(r"\?[^/]*", "", place) if "://" in place else place
    return "import pandas as pd", f"samples = pd.read_parquet({json.dumps(read, ensure_ascii=False)})"


def format_command(model: Model, synth_type: str, effort: str) -> str:
    """Formats the command that starts a run again."""
    return f"exemplars synthesize {model.handle} --synth-type {synth_type} --effort {effort}"


def _write_report_step(stored: StoredSet, api_url: str | None) -> str:
    if api_url:
        # A browser does not follow a link to a file out of this page.
        address = f"{api_url.rstrip('/')}/v1/runs/{stored.run_id}/report"
        return f"**[Open the report]({address})**: in its dialog, enter a key as the password and any user name."
    return f"**Open the report** in a browser: `{stored.file(REPORT)}`"


def _write_review_steps(stored: StoredSet, report: str, api_url: str | None) -> list[str]:
    """Writes how a proposed set is read, and the ways to attach or reject it."""
    read = report
    if api_url:
        address = f"{api_url.rstrip('/')}/v1/runs/{stored.run_id}/review"
        read = f"**[Review the samples]({address})**: in its dialog, enter a key as the password and any user name."
    commands = [f"exemplars review {stored.run_id} {word}" for word in ("--attach", "--reject")]
    said = "**Then attach or reject them**: there, by this page's *Resume* while the run is suspended, or by a command:"
    return [read, said if api_url else said.replace("there, ", ""), _write_code("sh", *commands)]


def _write_code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
