"""Define the gate's Expectations; importing this module registers them with Great Expectations."""

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
# Below this number of texts, human texts too may share an opening by chance (docs/decisions/005-duplicates.md).
FEW_TEXTS = 20
Figures = Mapping[str, float | None]


class RowsExpectation(BatchExpectation):
    """Base class of the expectations below, which receive the frame and return its faults.

    It requests no metrics, because it reads several columns of the batch's frame at once.
    """

    metric_dependencies = ()
    domain_keys: ClassVar[tuple[str, ...]] = ()

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        raise AssertionError("each expectation defines this method")

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: dict[str, Any] | None = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        frame, *_ = execution_engine.get_compute_domain(domain_kwargs={}, domain_type=MetricDomainTypes.TABLE)
        observed, faults = self._find_faults(frame, **self.configuration.kwargs)
        return {"success": not faults, "result": {"observed_value": observed, "details": {"faults": faults[:100]}}}


class ExpectPoleCountsToEqual(RowsExpectation):
    """Expect that each of ``traits`` has exactly ``wanted`` rows at each pole, and that no further trait has any.

    ``wanted`` is one number or, for a run that fills up, a number by trait and pole.
    """

    traits: list[str] | Parameter
    wanted: int | dict[str, dict[str, int]] | Parameter

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        counts, quota = _count_groups(frame), fields["wanted"]
        expected = {
            f"{trait}/{pole}": quota if isinstance(quota, int) else quota[trait][pole]
            for trait in fields["traits"]
            for pole in ("positive", "negative")
        }
        faults = [f"{key} has {counts[key]} of {count}" for key, count in expected.items() if counts[key] != count]
        faults += [f"{key} has {count} and should have none" for key, count in counts.items() if key not in expected]
        return dict(counts), faults


class ExpectPoleShareToBeAtLeast(RowsExpectation):
    """Expect that each pole has at least ``min_share`` of a trait's samples, in [0, 1], not counting those between."""

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
    """Expect that no two texts have a Jaccard index of ``min_jaccard`` or more (character 5-grams, normal form).

    ``members`` selects pairs: ``new`` for pairs with a row of this run, across traits; ``old`` for pairs without one,
    within one trait (an authored line may label several). If the frame has a column ``near``, it has been searched:
    the column has the similar text, and ``similarity`` the index. If not, it has a run's rows, and is searched here.
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
            # Each old pair belongs to one trait.
            rows = rows if is_new else rows.sort_values("trait", kind="stable", key=lambda traits: traits.astype(str))
            near = list(zip(rows["text"], rows["near"], rows["similarity"].tolist(), strict=True))
        else:
            texts = list(map(str, frame["text"]))
            # With the bands of ``APART``, one pair in forty million is missed at .7, and four in a thousand at .5.
            matches = find_pairs(texts, replace(APART, jaccard=least))
            near = [(texts[number], match.text, match.similarity) for number, match in matches]
        return {"pairs": len(near)}, [f"{share:.2f}: {one[:80]!r} and {other[:80]!r}" for one, other, share in near]


class ExpectTextsToBeApart(RowsExpectation):
    """Expect that no text of the ``side`` ``train`` overlaps with one of ``eval`` (``engine.asking.held_out``).

    ``members`` selects pairs: ``new`` for pairs with a row of this run, ``old`` for pairs without one. The column
    ``overlap`` describes the text that each row shares with the opposite side.
    """

    members: str

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        rows = frame[frame["overlap"].notna() & ((frame["origin"] == "run") == (fields["members"] == "new"))]
        faults = [f"{text[:80]!r}: {detail[:120]}" for text, detail in zip(rows["text"], rows["overlap"], strict=True)]
        return {"overlaps": len(faults)}, faults


class ExpectSubjectsToBeApart(RowsExpectation):
    """Expect that no subject is on both sides (``train`` and ``eval``), and that every row of this run has a subject.

    ``members`` is ``new`` or ``old`` as in ``ExpectTextsToBeApart``. Only authored rows have no subject.
    """

    members: str

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        is_from_run, is_new = frame["origin"] == "run", fields["members"] == "new"
        rows = frame if is_new else frame[~is_from_run]
        groups = [rows[rows["side"] == side] for side in ("train", "eval")] + ([rows[is_from_run]] if is_new else [])
        subjects = [{normalise(str(item)) for item in group["subject"].unique()} for group in groups]
        shared = set.intersection(*subjects) - {""}
        nameless = sum(not normalise(str(item)) for item in frame.loc[is_from_run, "subject"])
        faults = [f"{subject!r} is a subject on both sides" for subject in sorted(shared)]
        if is_new and nameless:
            faults.append(f"{count_noun(nameless, 'row')} of this run without a subject")
        return {"shared": len(shared), "nameless": nameless}, faults


class ExpectLengthsNotToTellPolesApart(RowsExpectation):
    """Expect that for every trait the number of words alone separates the poles with an AUC of at most ``max_auc``."""

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


class ExpectDiversityToBeAtLeast(RowsExpectation):
    """Expect that the diversity figures of every trait and pole with rows are within the limits; None passes.

    ``figures`` are the fields of ``engine.domain.verdict.Diversity`` by ``trait/pole``. The gate receives them as a
    parameter, because rows have no vectors. The limits lie between the figures of human texts and of sets with a
    planted mode collapse (docs/decisions/005-duplicates.md). For groups of fewer than 20 texts,
    ``max_shared_openings_of_few`` replaces ``max_shared_openings``.
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
    """Expect that the texts of every trait and pole read as sentences, and resemble their seeds; None passes.

    ``figures`` are as in ``ExpectDiversityToBeAtLeast``. The limits lie between the figures of human texts and the
    figures of shuffled words and of texts of another kind (docs/decisions/005-duplicates.md).
    """

    figures: dict[str, dict[str, Any]] | Parameter
    min_word_order: float
    min_seed_likeness: float

    def _find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        groups = _count_groups(frame)
        faults = []
        for group, figures in fields["figures"].items():
            if group not in groups:
                continue
            order, likeness = figures.get("word_order"), figures.get("seed_likeness")
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
