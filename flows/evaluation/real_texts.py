"""The work of ``exemplars test``: holds a model's attached samples against texts that a user has labelled."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from rich.text import Text

from engine.axis.separation import score_others
from engine.choosing.probe import CHANCE_AUC
from engine.definitions.labelled_file import LabelledFile
from engine.domain.model import POLES, POLES_BY_QUALITY, Attached, Pole, Seed, Trait
from engine.errors import InputError
from engine.evaluation.real_texts import LEFT_OUT, Reach, choose_real_texts, list_wrong_side, measure_reach
from engine.text.formatting import count_noun
from flows.cli.console import make_console, make_table
from flows.evaluation.scoring import NOTHING, ScoringSet, check_language

SHOWN_WRONG = 5


@dataclass(frozen=True, slots=True)
class WrongText:
    """A real text on the other pole's side: the line of its file, its label, and its score on the samples' axis."""

    line: int
    pole: Pole
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class TraitTest:
    """What real texts say of one trait's samples. ``samples``, ``seeds`` and ``texts`` are counts by pole.

    Args:
        attached: what the axis of the attached samples reaches; None where they lack a pole, or ``why`` is there.
        authored: what the authored samples alone reach on the same texts; None if they lack a pole.
        together: what authored and attached samples reach together, as a model is trained on all of its samples.
        wrong_side: how many real texts lie on the other pole's side.
        worst: those of them that lie farthest there.
        left_out: how many real texts do not count, by the reason why.
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
        """What each kind of samples reaches, by its name for people."""
        return {"attached samples": self.attached, "authored alone": self.authored, "together": self.together}


@dataclass(frozen=True, slots=True, repr=False)
class RealTest:
    """What the labelled texts of a file say of a model's attached samples, trait by trait."""

    handle: str
    file: str
    traits: tuple[TraitTest, ...]

    def __repr__(self) -> str:
        """A line for each trait, with the AUC and its 95 % interval."""
        lines = [f"{self.handle}: samples held against {self.file}"]
        for test in self.traits:
            reached = ", ".join(f"{name} {_format_reach(reach)}" for name, reach in test.reached.items())
            texts = count_noun(sum(test.texts.values()), "real text")
            lines.append(
                f"  {test.trait}: {test.why or f'{reached}; {test.wrong_side:,} of {texts} on the wrong side'}"
            )
        return "\n".join(lines)


def evaluate_samples(scoring: ScoringSet, labelled: LabelledFile) -> RealTest:
    """Holds the samples of each trait, attached and authored, against labelled texts.

    Raises:
        InputError: no trait can be measured by these texts.
    """
    check_language([seed.text for seed in labelled.seeds], f"{labelled.name}: the texts are")
    tests = tuple(_test_trait(scoring, trait, labelled) for trait in scoring.traits)
    if not any(test.attached or test.authored for test in tests):
        begun = [test for test in tests if any(test.texts.values()) or test.left_out]
        raise InputError(". ".join(test.why for test in begun or tests if test.why))
    return RealTest(scoring.model.handle, labelled.name, tests)


def show_test(scoring: ScoringSet, test: RealTest, as_json: bool = False) -> None:
    """Prints what each trait's samples reach on real texts, and the texts that they get most wrong."""
    if as_json:
        print(json.dumps(asdict(test)))
        return
    console = make_console()
    console.print(Text(f"{test.handle}: samples held against {test.file}", style="bold"), soft_wrap=True)
    table = make_table("trait", *test.traits[0].reached)
    for item in test.traits:
        table.add_row(*map(Text, (item.trait, *map(_format_reach, item.reached.values()))))
    console.print(table)
    console.print(
        "AUC and its 95 % interval: the share of pairs of a real text of each pole that lie the right way round"
    )
    for trait, item in zip(scoring.traits, test.traits, strict=True):
        for line in _explain_test(test.handle, trait, item):
            console.print(Text(f"{trait.key}: {line}"))
        width = max(len(trait.label(pole)) for pole in POLES)
        for wrong in item.worst:
            place = f"  line {wrong.line:<5,} {trait.label(wrong.pole):<{width}} {wrong.score:+.3f}  "
            console.print(Text(place + " ".join(wrong.text.split())), no_wrap=True, overflow="ellipsis")


def _test_trait(scoring: ScoringSet, trait: Trait, labelled: LabelledFile) -> TraitTest:
    model = scoring.model
    chosen, left_out = choose_real_texts(
        [seed for seed in labelled.seeds if seed.trait == trait.key],
        [sample.text for sample in model.attached if sample.trait == trait.key],
        [seed.text for seed in model.authored if seed.trait == trait.key],
    )
    drawn = scoring.draw(trait)
    authored = [seed for pole in POLES for seed in model.seeds_at(trait.key, pole)]
    test = TraitTest(trait.key, _count(drawn), _count(authored), _count(chosen), left_out)
    if why := _find_lack(scoring, trait, test, labelled.name):
        return replace(test, why=why)
    texts, positive = scoring.embed(chosen)
    sets: list[list[Seed | Attached]] = [[*drawn], [*authored], [*authored, *drawn]]
    scores = [score_others(*scoring.embed(samples), texts) for samples in sets]
    attached, seeds, both = (measure_reach(own, positive) for own in scores)
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


def _find_lack(scoring: ScoringSet, trait: Trait, test: TraitTest, file: str) -> str | None:
    """Says what a trait lacks to be measured, and what to do; None if it lacks nothing."""
    if not all(test.samples.values()) and not all(test.seeds.values()):
        return scoring.ask_for_samples(trait)
    if all(test.texts.values()):
        return None
    left = f" ({_list_left_out(test)} left out)" if test.left_out else ""
    if not any(test.texts.values()):
        return f"{file} has no texts for {trait.key} to hold its samples against{left}. Label some at both poles"
    [pole] = [pole for pole in POLES if not test.texts[pole]]
    return f"{file} has texts of one pole only for {trait.key}{left}. Add some that are {trait.label(pole)}"


def _count(items: Sequence[Seed | Attached]) -> Mapping[str, int]:
    found = Counter(POLES_BY_QUALITY[item.quality] for item in items)
    return {pole: found[pole] for pole in POLES}


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
