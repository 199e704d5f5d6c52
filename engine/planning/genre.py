"""Reads from a model's own words which kind of text it judges, and for whom such texts are written.

A form is a noun that names a kind of text, with the words before it that say which kind ("product review"), or with
what stands behind its "of" ("title of a commit message"). Judgements ("a helpful review") and the model's own labels
are no part of it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from engine.domain.model import Model
from engine.text.function_words import FUNCTION_WORDS

# Nouns that name a kind of text. "Text", "sentence" and "paragraph" are not among them: every text is one.
KINDS = frozenset(
    """
    abstract ad advert advertisement advice affidavit agreement announcement annotation answer apology appeal
    application argument article assessment assignment ballad bid bio biography blog blurb brief briefing briefs
    brochure bulletin caption changelog chat checklist claim clause column comment commentary complaint complement
    confession contract conversation copy correspondence cv description dialogue diary docstring documentation
    dm editorial email e-mail entry epigram essay eulogy evaluation excuse explanation fable faq feedback fiction
    finding flyer footnote forecast form-letter greeting guide guideline haiku handout headline help-text hint hook
    horoscope how-to hymn instruction interview invitation invoice issue joke journal judgment judgement label
    leaflet lesson letter lie limerick listing log lyric lyrics mail manifesto manual memo memoir menu message minutes
    monologue narrative newsletter note notice notification novel obituary offer opinion order outline pamphlet passage
    patent petition pitch plan plea plot poem poetry policy post poster posting prayer preface prescription
    press-release procedure profile prompt proposal prose protocol proverb puzzle query question quote quotation rant
    rating readme recap receipt recipe recommendation record referral refusal regulation remark reminder reply report
    request response resume résumé review riddle rule ruling runbook saying scene script sermon signature slide slogan
    sms sonnet song speech spec specification statement statute story subtitle suggestion summary survey tagline
    takeaway tale task term terms testimonial testimony thread ticket tip title toast transcript translation treaty
    trivia tutorial tweet update verdict verse voicemail vow warning will wish
    """.split()
)
# Words that stand before a kind of text and do not say which kind it is: what is done to it, or how good it is.
_NOT_PART = frozenset(
    """
    add ask assess bad best better bit call catch check choose classify clear compare concise confusing control count
    detect does dull estimate evaluate excellent existing fair filter find flag full good great helpful high ideal
    identify individual judge kind least low measure ordinary plain polite poor predict present quality rank rate
    ready real recognise recognize rude score select separate shows single sort spot tell true typical unhelpful
    useful usual useless various well-written whole written wrong
    """.split()
)
# Nouns for those to whom a text may be addressed.
PEOPLE = frozenset(
    """
    adult applicant audience beginner boss buyer candidate caregiver carer child children citizen client
    coach colleague collector community consumer contributor coworker critic customer
    developer diner doctor donor editor employee employer engineer expert family fan follower friend gamer guest
    hobbyist homeowner inspector investor janitor journalist jury landlord lawyer layperson learner lender
    librarian listener maintainer manager member mentor moderator musician neighbour neighbor newcomer newsroom
    non-lawyer novice nurse operator owner parent partner passenger patient pensioner physician player
    policymaker politician programmer publisher pupil reader recruiter relative researcher resident reviewer scientist
    sceptic shopper skeptic specialist stranger student subscriber supplier supporter taxpayer teacher
    teammate teenager tenant therapist tourist trainee traveller traveler triager user viewer visitor volunteer voter
    worker
    """.split()
)
_IRREGULAR = {"children": "child", "people": "person", "lyrics": "lyrics", "minutes": "minutes"}
_IRREGULAR |= {"terms": "terms", "stories": "story", "cries": "cry", "series": "series", "news": "news", "sms": "sms"}
# Kinds that are one line, and kinds that are hardly ever more than two sentences.
_ONE_LINE = frozenset({"caption", "headline", "hashtag", "query", "slogan", "subtitle", "tagline", "title"})
_SHORT = _ONE_LINE | frozenset(
    {"chat", "comment", "dm", "epigram", "greeting", "haiku", "hint", "hook", "joke", "message", "notification"}
    | {"proverb", "quote", "reminder", "remark", "riddle", "saying", "sms", "tip", "toast", "tweet", "update"}
)
# Kinds of which there is no "a": a mass, or a plural.
_WITHOUT_ARTICLE = frozenset(
    {"advice", "copy", "correspondence", "documentation", "feedback", "fiction", "lyrics", "minutes", "poetry"}
    | {"prose", "terms", "trivia"}
)
# Writers, not readers, stand behind these.
_BEFORE_WRITERS = frozenset({"by", "from"})
_ONE = frozenset({"a", "an", "each", "every", "this"})
_JOINTS = frozenset({"and", "or", ","})
_MAX_BEFORE = 2
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[,.;:!?()]")


@dataclass(frozen=True, slots=True)
class _Named:
    """A noun phrase of a text: its head in the singular, the words before it, and what stands behind its "of"."""

    head: str
    before: tuple[str, ...]
    behind: str
    start: int
    end: int

    @property
    def phrase(self) -> str:
        return " ".join([*self.before, self.head]) + (f" of {self.behind}" if self.behind else "")


def read_forms(model: Model) -> tuple[str, ...]:
    """Lists the kinds of text that a model's own words name, with their article, such as "a product review".

    The description decides, else the handle, else the brief's domain, else the intent, else what most of the traits'
    descriptions speak of. A bare kind gives way to one that says more ("message" to "chat message"), and the domain
    may add others.
    """
    spoken = _list_spoken(model)
    openings = (_read_opening(text, model) for text in (*spoken, *model.brief.intent))
    first = next((found for found in openings if found), None) or _find_common(model)
    begun = [found for found in (_read_opening(text, model) for text in model.brief.domain) if found]
    domain = [named for found in begun if found[0].start == 0 for named in found]
    told = [named for text in spoken for named in _list_named(text, KINDS, model)]
    chosen = [_specify(named, told) for named in [*first, *domain]]
    return tuple(dict.fromkeys(_add_article(named.phrase, named.head) for named in _keep_different(chosen)))


def read_audiences(model: Model) -> tuple[str, ...]:
    """Lists the people that a model's description and brief name as those who read its texts, with their article."""
    found: dict[str, str] = {}
    for text in (model.description, *model.brief.domain, *model.brief.intent):
        words = _WORD.findall(text)
        for named in _list_named(text, PEOPLE, model):
            lead = [word.lower() for word in words[max(0, named.start - 2) : named.start]]
            follows = words[named.end : named.end + 1]
            # "written by customers", "posts of players", "student essays": these write.
            if _BEFORE_WRITERS & {*lead} or lead[-1:] == ["of"] or _singular(*follows or [""]) in KINDS:
                continue
            found.setdefault(named.head, _add_article(named.head + (f" of {named.behind}" if named.behind else "")))
    return tuple(found.values())


def drop_kinds(phrases: Iterable[str]) -> Iterator[str]:
    """Yields the phrases of a brief that are subjects: "poems about love" becomes "love", "ads for nurses" nothing."""
    for phrase in phrases:
        words = phrase.split()
        if any(_singular(word) in KINDS for word in words):
            about = [index for index, word in enumerate(words) if word in ("about", "on")]
            words = words[about[0] + 1 :] if about else []
        if words and _singular(words[0]) not in PEOPLE:
            yield " ".join(words)


def is_one_line(form: str) -> bool:
    """Whether a form is a single line, such as a title."""
    return _find_head(form) in _ONE_LINE


def is_short(form: str) -> bool:
    """Whether a form is a line or a sentence or two, such as a chat message."""
    return _find_head(form) in _SHORT


def is_same_kind(form: str, kind: str) -> bool:
    """Whether a form and a pack's kind are the same words, whatever their number, order and article."""
    return _stem_set(form) == _stem_set(kind)


def shares_field(form: str, kind: str) -> bool:
    """Whether a form and a pack's kind share a word that is no kind of text, as "commit title" and "commit message"."""
    return bool((_stem_set(form) & _stem_set(kind)) - KINDS)


def _find_head(form: str) -> str:
    return _singular(form.partition(" of ")[0].split()[-1])


def _list_spoken(model: Model) -> list[str]:
    return [model.description, model.handle.partition(".")[2].replace("-", " "), *model.brief.domain]


def _read_opening(text: str, model: Model) -> list[_Named]:
    """Lists the first kind of text that is named, and those that are joined to it by commas, "and" or "or"."""
    words = _WORD.findall(text)
    every = _list_named(text, KINDS, model)
    first: list[_Named] = []
    for named in every:
        between = words[first[-1].end : named.start] if first else []
        if not first or (between and all(word.lower() in _JOINTS for word in between)):
            first.append(named)
    return first


def _find_common(model: Model) -> list[_Named]:
    """Lists the kind of text of which most of the traits' descriptions speak, if at least half of them do."""
    named = [
        {item.head: item for item in reversed(_list_named(trait.description, KINDS, model))} for trait in model.traits
    ]
    heads = [head for found in named for head in found]
    best = max(dict.fromkeys(heads), key=heads.count, default=None)
    if best is None or 2 * heads.count(best) < len(model.traits):
        return []
    return [next(found[best] for found in named if best in found)]


def _list_named(text: str, nouns: frozenset[str], model: Model) -> list[_Named]:
    words = _WORD.findall(text)
    labels = _list_label_words(model)
    found: list[_Named] = []
    end = 0
    for index, word in enumerate(words):
        head = _singular(word)
        # "README files", "chat logs": what the noun belongs to is the kind.
        if index < end or head not in nouns or _is_before_another(words, index, nouns):
            continue
        before = [*takewhile(lambda item: _is_part(item, labels), reversed(words[end:index]))][:_MAX_BEFORE]
        behind, width = _read_of(words[index + 1 :], nouns)
        end = index + 1 + width
        shown = word if word.isupper() else head
        found.append(_Named(shown, tuple(_lower(item) for item in reversed(before)), behind, index - len(before), end))
    return found


def _is_before_another(words: Sequence[str], index: int, nouns: frozenset[str]) -> bool:
    if index + 1 == len(words) or _singular(words[index + 1]) not in nouns or _is_plural(words[index]):
        return False
    # "An FAQ entry answers its question": what "an" stands before is one, so this is a verb.
    return not (_is_plural(words[index + 1]) and _ONE & {word.lower() for word in words[max(0, index - 2) : index]})


def _read_of(words: Sequence[str], nouns: frozenset[str]) -> tuple[str, int]:
    """Reads "of a commit message" behind a noun: its words without the "of", and how many words it takes up."""
    if not words or words[0].lower() != "of":
        return "", 0
    article = [word for word in words[1:2] if word.lower() in ("a", "an", "the")]
    rest = words[1 + len(article) :]
    phrase = [*takewhile(lambda item: item[0].isalpha() and item.lower() not in FUNCTION_WORDS, rest)][:3]
    ends = [
        index
        for index, word in enumerate(phrase, start=1)
        if _is_plural(word) != bool(article) and (_is_plural(word) or _singular(word) in KINDS)
    ]
    # Where no word is known to end the phrase, a single one is a noun, or all before a stop: not in "of a commit says".
    follows = rest[len(phrase) : len(phrase) + 1]
    closed = len(phrase) == 1 or not follows or not follows[0][0].isalpha()
    phrase = phrase[: ends[0]] if ends else phrase if closed else []
    if phrase and _singular(phrase[-1]) in PEOPLE:
        return "", 0
    if not phrase or any(word.lower() in _NOT_PART for word in phrase):
        return "", 0
    said = " ".join([*(word.lower() for word in article), *(_lower(word) for word in phrase)])
    return said, 1 + len(article) + len(phrase)


def _is_part(word: str, labels: frozenset[str]) -> bool:
    """Whether a word before a noun says which kind it is."""
    low = word.lower()
    return (
        word[0].isalpha()
        and low not in FUNCTION_WORDS | _NOT_PART | labels
        and low.removesuffix("s") not in _NOT_PART
        and low.removesuffix("ly") == low
    )


def _list_label_words(model: Model) -> frozenset[str]:
    said = (f"{trait.positive_label} {trait.negative_label} {trait.name}" for trait in model.traits)
    words = {word.lower() for text in said for word in _WORD.findall(text)}
    return frozenset(word for word in words if _singular(word) not in KINDS)


def _specify(named: _Named, told: Iterable[_Named]) -> _Named:
    """Returns the first phrase with the same head that says more, if this one is bare."""
    if named.before or named.behind:
        return named
    return next((item for item in told if item.head.lower() == named.head.lower() and item.phrase != item.head), named)


def _keep_different(chosen: Sequence[_Named]) -> Iterator[_Named]:
    seen: list[frozenset[str]] = []
    for named in chosen:
        words = _stem_set(named.phrase)
        if not any(words <= other or other <= words for other in seen):
            seen.append(words)
            yield named


def _add_article(phrase: str, head: str = "") -> str:
    if head.lower() in _WITHOUT_ARTICLE:
        return phrase
    spelt = phrase.split(maxsplit=1)[0]
    if spelt.isupper() and len(spelt) <= 3:
        return f"{'an' if spelt[0] in 'AEFHILMNORSX' else 'a'} {phrase}"
    vowel = re.match(r"(?!uni|use|usu|uti|eu|one)[aeiou]|hono|hour", phrase.lower())
    return f"{'an' if vowel else 'a'} {phrase}"


def _stem_set(phrase: str) -> frozenset[str]:
    words = [_singular(word) for word in _WORD.findall(phrase)]
    return frozenset(word for word in words if word not in FUNCTION_WORDS)


def _singular(word: str) -> str:
    low = word.lower()
    if low in _IRREGULAR:
        return _IRREGULAR[low]
    if low.endswith("ies") and len(low) > 4:
        return f"{low[:-3]}y"
    if low.endswith(("sses", "shes", "ches", "xes")):
        return low[:-2]
    return low[:-1] if low.endswith("s") and not low.endswith(("ss", "us", "is")) and len(low) > 2 else low


def _is_plural(word: str) -> bool:
    return _singular(word) != word.lower()


def _lower(word: str) -> str:
    return word if word[:2].isupper() and len(word) > 1 else word.lower()
