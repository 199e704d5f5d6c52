"""Defines the gate's own Expectations; importing this module registers them with Great Expectations."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.expectations.expectation import BatchExpectation

from engine.axis.separation import rank_auc
from engine.text.formatting import count_noun
from engine.text.near_duplicates import APART, find_pairs
from engine.text.words import count_words, normalise

Parameter = SuiteParameterDict[str, str]
# In a set of fewer texts, human texts too may share an opening by chance (docs/decisions/005-duplicates.md).
FEW_TEXTS = 20
Figures = Mapping[str, float | None]


class RowsExpectation(BatchExpectation):
    """The base class of the expectations below: each gets the frame and returns the faults that it finds.

    It asks for no metrics: it looks at the batch's frame itself, at several columns at once.
    """

    metric_dependencies = ()
    domain_keys: ClassVar[tuple[str, ...]] = ()

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        raise AssertionError("each expectation defines its own")

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: dict[str, Any] | None = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        frame, *_ = execution_engine.get_compute_domain(domain_kwargs={}, domain_type=MetricDomainTypes.TABLE)
        observed, faults = self._find_faults(frame, **self.configuration.kwargs)
        return {"success": not faults, "result": {"observed_value": observed, "details": {"faults": faults[:100]}}}


class ExpectPoleCountsToEqual(RowsExpectation):
    """Every one of ``traits`` has exactly ``wanted`` rows at each pole, and no other trait has any.

    ``wanted`` is one number, or one by trait and pole for a run that fills up.
    """

    traits: list[str] | Parameter
    wanted: int | dict[str, dict[str, int]] | Parameter

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        counts, wanted = _count_groups(frame), fields["wanted"]
        expected = {
            f"{trait}/{pole}": wanted if isinstance(wanted, int) else wanted[trait][pole]
            for trait in fields["traits"]
            for pole in ("positive", "negative")
        }
        faults = [f"{key} has {counts[key]} of {count}" for key, count in expected.items() if counts[key] != count]
        faults += [f"{key} has {count} and should have none" for key, count in counts.items() if key not in expected]
        return dict(counts), faults


class ExpectPoleShareToBeAtLeast(RowsExpectation):
    """Each pole has at least ``min_share`` of a trait's samples, in [0, 1]; those between the poles do not count."""

    min_share: float

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        ends = frame[frame["quality"].isin([0.0, 1.0])]
        shares = {str(trait): float(share) for trait, share in ends.groupby("trait")["quality"].mean().items()}
        least = fields["min_share"]
        faults = [
            f"{trait}: {share:.0%} of the samples are positive"
            for trait, share in shares.items()
            if not least <= share <= 1 - least
        ]
        return {trait: round(share, 4) for trait, share in shares.items()}, faults


class ExpectNoNearDuplicates(RowsExpectation):
    """No two texts have a Jaccard index of ``min_jaccard`` or more (character 5-grams of the normal form).

    ``members`` says which pairs count: ``new`` for those with a row of this run, across traits; ``old`` for those
    without, within one trait (an authored line may label several). A frame with a column ``near`` has been searched:
    there is the text that a row is near to, by ``similarity``. Any other is a run's own rows, and is searched here.
    """

    members: str
    min_jaccard: float

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        least = fields["min_jaccard"]
        if "near" in frame:
            is_new = fields["members"] == "new"
            rows = frame[
                frame["near"].notna() & ((frame["origin"] == "run") == is_new) & (frame["similarity"] >= least)
            ]
            # Old pairs are of one trait each.
            rows = rows if is_new else rows.sort_values("trait", kind="stable", key=lambda traits: traits.astype(str))
            near = list(zip(rows["text"], rows["near"], rows["similarity"].tolist(), strict=True))
        else:
            texts = list(map(str, frame["text"]))
            # With so many bands one pair in forty million is missed at .7, and four in a thousand at .5.
            found = find_pairs(texts, replace(APART, jaccard=least))
            near = [(texts[number], match.text, match.similarity) for number, match in found]
        return {"pairs": len(near)}, [f"{share:.2f}: {one[:80]!r} and {other[:80]!r}" for one, other, share in near]


class ExpectTextsToBeApart(RowsExpectation):
    """No text of one ``side`` (``train`` or ``eval``) overlaps with one of the other (``engine.asking.held_out``).

    ``members`` says which pairs count: ``new`` for those with a row of this run, ``old`` for those without. The column
    ``overlap`` says what each row shares with the other side.
    """

    members: str

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        rows = frame[frame["overlap"].notna() & ((frame["origin"] == "run") == (fields["members"] == "new"))]
        faults = [f"{text[:80]!r}: {detail[:120]}" for text, detail in zip(rows["text"], rows["overlap"], strict=True)]
        return {"overlaps": len(faults)}, faults


class ExpectSubjectsToBeApart(RowsExpectation):
    """No subject is on both sides (``train`` and ``eval``), and every row of this run names its subject.

    ``members`` is ``new`` or ``old`` as in ``ExpectTextsToBeApart``. Only authored rows have no subject.
    """

    members: str

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        own, is_new = frame["origin"] == "run", fields["members"] == "new"
        rows = frame if is_new else frame[~own]
        groups = [rows[rows["side"] == side] for side in ("train", "eval")] + ([rows[own]] if is_new else [])
        subjects = [{normalise(str(item)) for item in group["subject"].unique()} for group in groups]
        shared = set.intersection(*subjects) - {""}
        nameless = sum(not normalise(str(item)) for item in frame.loc[own, "subject"])
        faults = [f"{subject!r} is a subject on both sides" for subject in sorted(shared)]
        if is_new and nameless:
            faults.append(f"{count_noun(nameless, 'row')} of this run without a subject")
        return {"shared": len(shared), "nameless": nameless}, faults


class ExpectLengthsNotToTellPolesApart(RowsExpectation):
    """For every trait the number of words alone tells the poles apart with an AUC of at most ``max_auc``."""

    max_auc: float

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        aucs: dict[str, float] = {}
        for trait, rows in frame.groupby("trait"):
            words = rows["text"].map(count_words)
            labelled = words[rows["quality"].isin((0.0, 1.0))]
            auc = rank_auc(labelled.to_numpy(), (rows.loc[labelled.index, "quality"] == 1.0).to_numpy())
            if auc is not None:
                aucs[str(trait)] = round(max(auc, 1 - auc), 4)
        faults = [f"{trait}: AUC {auc:.2f} by length alone" for trait, auc in aucs.items() if auc > fields["max_auc"]]
        return aucs, faults


class ExpectVarietyToBeAtLeast(RowsExpectation):
    """The diversity figures of every trait and pole that has rows are within the limits; a figure of None passes.

    ``figures`` are those of ``engine.choosing.diversity.Diversity`` by ``trait/pole``. They are passed to the gate,
    since the rows have no vectors. The limits lie between the figures of human texts and those of sets with a planted
    mode collapse (docs/decisions/005-duplicates.md). ``max_shared_openings_of_few`` replaces ``max_shared_openings``
    for groups of fewer than 20 texts.
    """

    figures: dict[str, dict[str, Any]] | Parameter
    min_vendi_of_eight: float
    max_shared_openings: float
    max_shared_openings_of_few: float

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        return {}, [
            f"{group}: {fault}"
            for group, count in _count_groups(frame).items()
            for fault in _find_group_faults(fields["figures"].get(group, {"count": 0}), count, fields)
        ]


class ExpectTextsToBeCoherent(RowsExpectation):
    """The texts of every trait and pole read as texts, and as texts of their seeds' kind; a figure of None passes.

    ``figures`` are as in ``ExpectVarietyToBeAtLeast``. The limits lie between the figures of human texts and those of
    shuffled words and of texts of another kind (docs/decisions/005-duplicates.md).
    """

    figures: dict[str, dict[str, Any]] | Parameter
    min_word_order: float
    min_seed_likeness: float

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        groups = _count_groups(frame)
        faults = []
        for group, found in fields["figures"].items():
            if group not in groups:
                continue
            order, likeness = found.get("word_order"), found.get("seed_likeness")
            if order is not None and order < fields["min_word_order"]:
                faults.append(f"{group}: the order of the words says next to nothing ({order:.2f})")
            if likeness is not None and likeness < fields["min_seed_likeness"]:
                faults.append(f"{group}: {likeness:.0%} as like the seeds as these are to each other")
        return {}, faults


def _count_groups(frame: pd.DataFrame) -> Counter[str]:
    return Counter(f"{trait}/{pole}" for trait, pole in zip(frame["trait"], frame["pole"], strict=True))


def _find_group_faults(figures: Figures, count: int, limits: Mapping[str, Any]) -> Iterator[str]:
    if figures["count"] != count:
        yield f"the figures are of {figures['count']} texts, and there are {count}"
        return
    vendi, openings = figures["vendi_of_eight"], figures["shared_openings_of_eight"]
    most = limits["max_shared_openings_of_few" if count < FEW_TEXTS else "max_shared_openings"]
    if vendi is not None and vendi < limits["min_vendi_of_eight"]:
        yield f"eight texts count as {vendi:.1f} different ones"
    if openings is not None and openings > most:
        yield f"{openings:.0%} of eight texts open like another"
