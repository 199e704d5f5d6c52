"""List the findings of a run on its choice: missing exemplars, poles that are not separated, wrong sides, shortcuts."""

from collections import Counter
from collections.abc import Collection, Sequence

from engine.choosing.probe import INSEPARABLE_ERRORS_ALONE
from engine.choosing.probe import MIN_AUC as MIN_PROBE_AUC
from engine.choosing.run_state import RunState
from engine.choosing.shortcuts import STRONG_AUC, Shortcut
from engine.definitions.effort import name_higher_effort
from engine.domain.finding import Finding
from engine.domain.model import POLES
from engine.domain.samples import Exemplar, make_id
from engine.screening.in_context_judge import MIN_AUC
from engine.text.formatting import capitalise, count_noun, describe_others, name_reason

# With this many seeds a pole, more seeds are not the remedy.
ENOUGH_SEEDS = 8
MORE_SEEDS = "give each pole eight seeds or more that differ in the trait alone, or take a stronger synth model"
LOOK_AT_SEEDS = "make sure that its seeds differ in the trait alone, or take a stronger synth model"
WAYS_BACK = {
    "attached": "; `exemplars detach` with the run's id removes the set",
    "proposed": "; reject the set rather than attach it",
}
# The maximum number of ids in a command; the finding has all of them, and the report shows the id of each text.
NAMED_IDS = 6
LEARNED_INSTEAD = "A classifier may learn this instead of the trait"
REPLACE_THEM = "run at a higher effort, or give the effort more replacement_rounds (data/effort.yaml)"
LEVEL_SEEDS = (
    "rewrite your samples of the trait, which the synth model imitates, so that the poles do not differ in this"
)
ADD_SEEDS = "add samples in which the poles do not differ in this"
SAY_IN_BRIEF = "say in the brief's edge_cases that both poles may have it"
NOT_SHOWN = "The brief cannot help, because this model does not read it."


def list_missing(state: RunState) -> tuple[Finding, ...]:
    """Return a finding for each trait and pole with missing exemplars, with the main reasons."""
    findings = []
    for (trait, pole), missing in state.choice.shortfall.items():
        if missing:
            quota, label = state.plan.quotas[trait, pole], state.plan.model.trait(trait).label(pole)
            rejected = [item for item in state.choice.rejected if (item.trait, item.pole) == (trait, pole)]
            after = count_noun(state.round_no, "round")
            finding = Finding(
                code="missing_exemplars",
                severity="critical",
                text=f"{quota - missing} of {quota} for {label!r}, {missing} lacking after {after}",
                remedy=_explain_reasons(rejected),
                trait=trait,
                pole=pole,
                numbers={"quota": quota, "missing": missing, "rounds": state.round_no},
            )
            findings.append(finding)
    return tuple(findings)


def list_unseparated(state: RunState, status: str, strict: bool = False) -> tuple[Finding, ...]:
    """Return findings on surely inseparable poles that no judge confirms, and on poles that the probe hardly separates.

    Args:
        status: the status of the run's set.
        strict: whether inseparable poles are critical.
    """
    auc_of_kept = {item.trait: item.auc for item in state.recheck.probes if item.auc is not None}
    findings = {}
    for key, auc in state.inseparable.items():
        accepted = [item for item in state.exemplars if item.trait == key and item.is_accepted]
        if state.judge_aucs.get(key, 0.0) < MIN_AUC and not any(item.votes for item in accepted):
            headline = f"no measure separates {' from '.join(map(state.plan.model.trait(key).label, POLES))}"
            kept = f", {auc_of_kept[key]:.2f} in kept ones" if key in auc_of_kept else ""
            aucs = f"AUC {auc:.2f} in all {len(accepted)} accepted texts{kept}"
            findings[key] = Finding(
                code="inseparable",
                severity="critical" if strict else "warning",
                text=f"{headline} ({aucs}): a classifier learns nothing from them",
                remedy=capitalise(_advise_sharper_poles(state, key, status)),
                headline=headline,
                trait=key,
                numbers={"auc": auc, "accepted": len(accepted)},
            )
    for probe in state.recheck.probes:
        if probe.is_inseparable and probe.trait not in findings:
            auc, poles = probe.auc or 0.0, " and ".join(map(state.plan.model.trait(probe.trait).label, POLES))
            separated = f"separated {probe.separable}".replace("separated hardly", "hardly separated")
            is_sure = auc + INSEPARABLE_ERRORS_ALONE * probe.error < MIN_PROBE_AUC
            few = "" if is_sure else ", perhaps by chance, since there are so few"
            advice = _advise_sharper_poles(state, probe.trait, status)
            findings[probe.trait] = Finding(
                code="hardly_separated",
                severity="warning",
                text=f"{poles} are {separated} in the {len(probe.scores)} kept samples (AUC {auc:.2f}{few})",
                remedy=f"Read ten of each pole; if they read alike, {advice}",
                trait=probe.trait,
                numbers={"auc": auc, "samples": len(probe.scores)},
            )
    return tuple(findings.values())


def list_rechecked(state: RunState, status: str, strict: bool = False) -> tuple[Finding, ...]:
    """Return the findings of the recheck; arguments as for ``list_unseparated``."""
    wrong_sides = [
        _describe_wrong_side(state, probe.trait, probe.wrong_side, status)
        for probe in state.recheck.probes
        if probe.wrong_side
    ]
    # The gate itself warns of lengths above this AUC.
    shortcuts = [
        Finding(
            code=f"shortcut_{item.kind}",
            severity="warning",
            text=item.describe(state.plan.model.trait(item.trait).label(item.pole)),
            remedy=_advise_against(state, item),
            trait=item.trait,
            numbers={"auc": item.auc},
        )
        for item in state.recheck.shortcuts
        if not (item.kind == "length" and item.auc > STRONG_AUC)
    ]
    return (*list_unseparated(state, status, strict), *wrong_sides, *shortcuts)


def _describe_wrong_side(state: RunState, trait: str, keys: Collection[str], status: str) -> Finding:
    handle, chosen = state.plan.model.handle, state.choice.chosen
    ids = tuple(make_id(handle, item.trait, item.text or "") for item in chosen if item.key in keys)
    total = sum(exemplar.trait == trait for exemplar in chosen)
    named, more = " ".join(map(str, ids[:NAMED_IDS])), f" ({len(ids) - NAMED_IDS} more there)"
    remedy, command = f"Read the samples that the report's table marks{more if len(ids) > NAMED_IDS else ''}", ""
    if status == "rejected":
        remedy += "."
    elif status == "proposed":
        options = " ".join(f"--leave-out {number}" for number in ids[:NAMED_IDS])
        remedy += f", and leave out those with a wrong label when you attach: {options}"
    else:
        remedy += ", and remove those with a wrong label"
        command = f"exemplars remove {handle} {named}"
    return Finding(
        code="wrong_side",
        severity="warning",
        text=f"{len(ids)} of its {total} samples {'reads' if len(ids) == 1 else 'read'} like the other pole",
        remedy=remedy,
        command=command,
        trait=trait,
        numbers={"samples": total},
        sample_ids=ids,
    )


def _advise_sharper_poles(state: RunState, trait: str, status: str) -> str:
    fewest = min(len(state.plan.model.seeds_at(trait, pole)) for pole in POLES)
    return f"{MORE_SEEDS if fewest < ENOUGH_SEEDS else LOOK_AT_SEEDS}{WAYS_BACK.get(status, '')}."


def _advise_against(state: RunState, shortcut: Shortcut) -> str:
    """Advise what to do about a shortcut: the remedies that work for the run's effort, synth model and seeds."""
    level = state.plan.level
    has_seeds = any(state.plan.model.seeds_at(shortcut.trait, pole) for pole in POLES)
    remedies = []
    if shortcut.is_in_single_texts and not level.replacement_rounds:
        remedies.append(name_higher_effort(REPLACE_THEM, level.effort))
    if has_seeds:
        remedies.append(LEVEL_SEEDS)
    elif state.only_clear:
        remedies.append(ADD_SEEDS)
    if not state.only_clear:
        remedies.append(SAY_IN_BRIEF)
    return f"{LEARNED_INSTEAD}: {', or '.join(remedies)}.{f' {NOT_SHOWN}' if state.only_clear else ''}"


def _explain_reasons(rejected: Sequence[Exemplar]) -> str:
    if not rejected:
        return "Nothing came back for it."
    counts = Counter(exemplar.reason or "surplus" for exemplar in rejected)
    parts = []
    for reason, count in counts.most_common(3):
        example = next(exemplar for exemplar in rejected if exemplar.reason == reason)
        # The provider's message is only in the log: it is missing when a set is made again from stored replies.
        quote = "the call failed for good" if reason == "cell_failed" else example.detail or example.text or "no text"
        parts.append(f"{count} × {name_reason(reason)} (such as: {quote[:120]})")
    others = describe_others(len(rejected) - counts["surplus"], counts["surplus"])
    return f"{others}: {'; '.join(parts)}."
