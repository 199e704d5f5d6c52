"""Implement ``exemplars test``: evaluate a model's attached samples on texts that a user has labelled."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from rich.text import Text

from engine.axis.separation import score_others
from engine.choosing.probe import CHANCE_AUC
from engine.definitions.labelled_file import LabelledFile
from engine.domain.definition import Pole, Trait
from engine.domain.model import POLES, POLES_BY_QUALITY, Attached, Seed
from engine.errors import InputError
from engine.evaluation.real_texts import LEFT_OUT, Reach, choose_real_texts, list_wrong_side, measure_reach
from engine.text.formatting import count_noun
from flows.cli.console import make_console, make_table
from flows.evaluation.scoring import NOTHING, ScoringSet, check_language

SHOWN_WRONG = 5


@dataclass(frozen=True, slots=True)
class WrongText:
    """A real text on the wrong side: its line in the file, its label, and its score on the samples' axis."""

    line: int
    pole: Pole
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class TraitTest:
    """The evaluation of one trait's samples on real texts. ``samples``, ``seeds`` and ``texts`` are counts by pole.

    Args:
        attached: the AUC of the attached samples' axis; None if a pole has no samples, or if ``why`` is set.
        authored: the AUC of the authored samples alone on the same texts; None if a pole has no samples.
        together: the AUC of authored and attached samples together, as a model is trained on all its samples.
        wrong_side: the number of real texts on the wrong side.
        worst: the real texts that are farthest on the wrong side.
        left_out: the number of real texts that do not count, by reason.
        why: the reason why the trait cannot be evaluated; None if it is.
    """

    trait: str
    samples: Mapping[str, int]
    seeds: Mapping[str, int]
    texts: Mapping[str, int]
    left_out: Mapping[str, int]
    attached: Reach | None = None
    authored: Reach | None = None
    together: Reach | None = None
    wrong_side: int = 0
    worst: tuple[WrongText, ...] = ()
    why: str | None = None

    @property
    def reached(self) -> Mapping[str, Reach | None]:
        """Return the AUC of each kind of samples, by its readable name."""
        return {"attached samples": self.attached, "authored alone": self.authored, "together": self.together}


@dataclass(frozen=True, slots=True, repr=False)
class RealTest:
    """The evaluation of a model's samples on the labelled texts of a file, trait by trait."""

    handle: str
    file: str
    traits: tuple[TraitTest, ...]

    def __repr__(self) -> str:
        """Return a line for each trait, with the AUCs and their 95 % intervals."""
        lines = [f"{self.handle}: samples evaluated on {self.file}"]
        for test in self.traits:
            reached = ", ".join(f"{name} {_format_reach(reach)}" for name, reach in test.reached.items())
            texts = count_noun(sum(test.texts.values()), "real text")
            lines.append(
                f"  {test.trait}: {test.why or f'{reached}; {test.wrong_side:,} of {texts} on the wrong side'}"
            )
        return "\n".join(lines)


def evaluate_samples(scoring: ScoringSet, labelled: LabelledFile) -> RealTest:
    """Evaluate the samples of each trait, attached and authored, on labelled texts.

    Raises:
        InputError: no trait can be evaluated on these texts.
    """
    check_language([seed.text for seed in labelled.seeds], f"{labelled.name}: the texts are")
    tests = tuple(_test_trait(scoring, trait, labelled) for trait in scoring.traits)
    if not any(test.attached or test.authored for test in tests):
        labelled_tests = [test for test in tests if any(test.texts.values()) or test.left_out]
        raise InputError(". ".join(test.why for test in labelled_tests or tests if test.why))
    return RealTest(scoring.model.handle, labelled.name, tests)


def show_test(scoring: ScoringSet, test: RealTest, as_json: bool = False) -> None:
    """Print the AUCs of each trait's samples on real texts, and the texts that are farthest on the wrong side."""
    if as_json:
        print(json.dumps(asdict(test)))
        return
    console = make_console()
    console.print(Text(f"{test.handle}: samples evaluated on {test.file}", style="bold"), soft_wrap=True)
    table = make_table("trait", *test.traits[0].reached)
    for item in test.traits:
        table.add_row(*map(Text, (item.trait, *map(_format_reach, item.reached.values()))))
    console.print(table)
    console.print("AUC and its 95 % interval: the share of pairs, one real text of each pole, in the right order")
    for trait, item in zip(scoring.traits, test.traits, strict=True):
        for line in _explain_test(test.handle, trait, item):
            console.print(Text(f"{trait.key}: {line}"))
        width = max(len(trait.label(pole)) for pole in POLES)
        for wrong in item.worst:
            prefix = f"  line {wrong.line:<5,} {trait.label(wrong.pole):<{width}} {wrong.score:+.3f}  "
            console.print(Text(prefix + " ".join(wrong.text.split())), no_wrap=True, overflow="ellipsis")


def _test_trait(scoring: ScoringSet, trait: Trait, labelled: LabelledFile) -> TraitTest:
    model = scoring.model
    chosen, left_out = choose_real_texts(
        [seed for seed in labelled.seeds if seed.trait == trait.key],
        [sample.text for sample in model.existing.attached if sample.trait == trait.key],
        [seed.text for seed in model.authored if seed.trait == trait.key],
    )
    drawn = scoring.draw(trait)
    authored = [seed for pole in POLES for seed in model.seeds_at(trait.key, pole)]
    test = TraitTest(trait.key, _count(drawn), _count(authored), _count(chosen), left_out)
    if why := _explain_missing(scoring, trait, test, labelled.name):
        return replace(test, why=why)
    texts, positive = scoring.embed(chosen)
    sets: list[list[Seed | Attached]] = [[*drawn], [*authored], [*authored, *drawn]]
    scores = [score_others(*scoring.embed(samples), texts) for samples in sets]
    attached, seeds, both = (measure_reach(set_scores, positive) for set_scores in scores)
    wrong = [(chosen[index], score) for index, score in list_wrong_side(scores[0], positive)]
    has_attached = all(test.samples.values())
    return replace(
        test,
        attached=attached if has_attached else None,
        authored=seeds if all(test.seeds.values()) else None,
        together=both if has_attached else None,
        wrong_side=len(wrong),
        worst=tuple(
            WrongText(int(seed.place.rpartition(":")[2]), POLES_BY_QUALITY[seed.quality], score, seed.text)
            for seed, score in wrong[:SHOWN_WRONG]
        ),
    )


def _explain_missing(scoring: ScoringSet, trait: Trait, test: TraitTest, file: str) -> str | None:
    """Return which samples or texts are missing for the evaluation, and what to do; None if there are enough."""
    if not all(test.samples.values()) and not all(test.seeds.values()):
        return scoring.ask_for_samples(trait)
    if all(test.texts.values()):
        return None
    left = f" ({_list_left_out(test)} left out)" if test.left_out else ""
    if not any(test.texts.values()):
        return f"{file} has no texts for {trait.key} to evaluate its samples on{left}. Label some at both poles"
    [pole] = [pole for pole in POLES if not test.texts[pole]]
    return f"{file} has texts of one pole only for {trait.key}{left}. Add some that are {trait.label(pole)}"


def _count(items: Sequence[Seed | Attached]) -> Mapping[str, int]:
    counts = Counter(POLES_BY_QUALITY[item.quality] for item in items)
    return {pole: counts[pole] for pole in POLES}


def _format_reach(reach: Reach | None) -> str:
    return f"{reach.auc:.2f} ({reach.low:.2f} to {reach.high:.2f})" if reach else NOTHING


def _explain_test(handle: str, trait: Trait, test: TraitTest) -> Iterator[str]:
    if test.why:
        yield test.why
        return
    if test.left_out:
        yield f"left out: {_list_left_out(test)}"
    if not test.attached:
        reached = _format_reach(test.authored)
        yield f"nothing attached as yet: a run is worth it if it reaches more than the authored {reached}"
        return
    if test.attached.low <= CHANCE_AUC:
        yield "the attached samples alone may be no better than chance here: the interval begins at 0.5 or below"
    gain = round(test.together.auc, 2) - round(test.authored.auc, 2) if test.authored and test.together else None
    if gain == 0:
        yield "the attached samples add nothing to the authored ones here"
    if gain is not None and gain < 0:
        yield "the attached samples make the authored ones worse here: look at them before you train"
    if test.attached and test.authored and test.authored.low > test.attached.auc:
        yield f"more labels would bring more than another run: 'exemplars suggest {handle} --to labels.csv' picks some"
    counts = ", ".join(f"{test.texts[pole]:,} {trait.label(pole)}" for pole in POLES)
    share = f"{test.wrong_side:,} of {count_noun(sum(test.texts.values()), 'real text')} ({counts})"
    yield f"{share} on the other pole's side{', the farthest of them:' if test.wrong_side else ''}"


def _list_left_out(test: TraitTest) -> str:
    return ", ".join(f"{count:,} {LEFT_OUT[name]}" for name, count in test.left_out.items())
