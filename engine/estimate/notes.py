"""List the notes on a plan, for dry run and report: decisions for the model, and parts that are left out."""

from collections import Counter
from collections.abc import Iterator

from engine.asking.plan import Plan
from engine.asking.scenarios import advise_on_fields
from engine.asking.topic_subjects import MIN_OWN_SHARE
from engine.axis.reference_axis import MIN_SEEDS_ALONE
from engine.domain.definition import Brief, Trait
from engine.domain.model import MAX_SEEDS_PER_POLE, POLES
from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_models import is_embedded
from engine.text.formatting import count_noun, join_words
from engine.text.language import Language


def list_notes(plan: Plan, endpoint: Endpoint) -> tuple[str, ...]:
    """Return sentences on decisions for a model, on unread parts of its definition, and on parts that are left out.

    Args:
        endpoint: the synth model's.
    """
    model, level = plan.model, plan.level
    notes = [*_describe_language(plan.language)]
    if is_embedded(endpoint.name) and endpoint.style == "plain":
        notes.append(
            f"{endpoint.name} is a small model: some of its texts make no sense, and no number shows it. Read the "
            "texts first."
        )
    bare = [trait.name for trait in model.traits if not all(model.seeds_at(trait.key, pole) for pole in POLES)]
    if endpoint.style == "plain" and bare:
        notes.append(
            f"There are no samples of {join_words(bare)} to follow: a small model then writes about the subjects and "
            "hardly shows the poles. Give each pole four samples or more."
        )
    notes += [f"Skipped: {skipped.what} ({skipped.why})." for skipped in model.skipped]
    notes += _describe_scenarios(plan, endpoint)
    notes += _list_shared_topics(plan)
    if endpoint.style == "plain" and model.brief != Brief():
        notes.append(
            "The synth model is not shown the brief. It sees the seeds of each pole, and the pole's first paraphrase "
            "or, without one, the trait's description."
        )
    if model.existing.reviewed:
        notes.append(
            f"Texts that a person accepted in earlier reviews ({len(model.existing.reviewed):,}) count like seeds: as "
            "examples for chat models, for the judge and for the axis between the poles. "
            "EXEMPLARS_REVIEWS_TEACH=false leaves them out."
        )
    notes += [note for trait in model.traits for note in _describe_axis(plan, trait)]
    if level.thinking != "none" and not endpoint.thinks:
        notes.append(f"The effort asks for {level.thinking} thinking; {endpoint.name} has none, so it was left out.")
    if level.judge_votes and is_embedded(level.judge_model):
        notes.append(
            f"The effort asks for {count_noun(level.judge_votes, 'judge vote')} on each text, but the judge model "
            f"({level.judge_model}) casts none. Name one that does in EXEMPLARS_JUDGE_MODEL."
        )
    return tuple(notes)


def _describe_language(language: Language) -> Iterator[str]:
    yield f"Language of the texts: {language.name} ({language.tag}), because {language.why}."
    if not language.encoder_supports_language:
        yield (
            f"The sentence encoder does not know {language.name}: choice and gate do not use the place between the "
            "poles, the probe, the subjects and the diversity of meanings. Read the texts before you train."
        )


def _describe_axis(plan: Plan, trait: Trait) -> Iterator[str]:
    """Yield a note if only some of a trait's seeds are used, and one with advice if the trait has no axis."""
    counts = Counter((seed.trait, seed.pole) for seed in plan.model.seeds)
    for pole in POLES:
        if counts[trait.key, pole] > MAX_SEEDS_PER_POLE:
            yield (
                f"Of the {counts[trait.key, pole]:,} seeds of {trait.name} at {trait.label(pole)}, "
                f"{MAX_SEEDS_PER_POLE:,} are used, drawn by their SHA-256."
            )
    axis = plan.axes.get(trait.key)
    if axis is None or axis.basis != "nothing":
        return
    if min(len(plan.model.examples_at(trait.key, pole)) for pole in POLES) >= MIN_SEEDS_ALONE:
        why = f"placed by one another, its seeds have an AUC of {axis.seeds_auc or 0:.2f}"
        remedy = "Check that each is at the right pole. An embedding sees manner and subject, not facts."
    else:
        why = f"{trait.positive_label} and {trait.negative_label} alone are no measure"
        remedy = f"Give each pole {MIN_SEEDS_ALONE} examples or more, or two paraphrases."
    yield (
        f"The texts of {trait.name} cannot be placed between its poles ({why}), so its pairs are chosen without an "
        f"axis. {remedy}"
    )


def _describe_scenarios(plan: Plan, endpoint: Endpoint) -> Iterator[str]:
    grouped: dict[str, list[str]] = {}
    for part, why in plan.scenario_pool.reasons.items():
        grouped.setdefault(why, []).append(part)
    if grouped:
        sources = "; ".join(f"{join_words(parts)} {why}" for why, parts in grouped.items())
        plain = endpoint.style == "plain"
        seen = " The synth model is shown the subjects, not the forms, audiences and lengths." if plain else ""
        yield f"Scenarios: {sources}.{seen}{_advise_on_packs(plan, plain)}"


def _advise_on_packs(plan: Plan, plain: bool) -> str:
    model, pool = plan.model, plan.scenario_pool
    # A hosted model proposes subjects itself.
    fields = advise_on_fields(pool) if plain and plan.language.encoder_supports_language else None
    advice = f" {fields}" if fields else ""
    if plan.language.code == "en" or model.scenarios.pack or model.scenarios.subjects:
        return advice
    return f"{advice} Packs are in English: for texts in {plan.language.name} give `scenarios.subjects` in model.yaml."


def _list_shared_topics(plan: Plan) -> list[str]:
    if not plan.model.scenarios.subjects or not plan.language.encoder_supports_language:
        return []
    return [
        f"Both texts of a pair on {trait.name} have the same subject, because less than {MIN_OWN_SHARE:.0%} of the "
        "`subjects` in model.yaml are inside the topic. Give subjects inside it: negative texts then get others from "
        "the packs."
        for trait in plan.model.traits
        if trait.type == "topic" and trait.key not in plan.scenario_pool.topic_subjects
    ]
