"""Find labels, and the author's own words about a trait, in a text. A classifier would learn these, not the trait."""

import html
from functools import lru_cache

import regex

from engine.domain.definition import Trait
from engine.domain.model import DEFINED_BY_WORDS, POLES, Model
from engine.rules.patterns import MOST_SEEDS, load_particles
from engine.text.words import SPACELESS, fold, fold_name, list_content_words, normalise

Run = tuple[str, ...]

# Four shared content words in a row are not chance: of 5,654 real texts, one shared three with one of 21 traits, and
# none shared four (docs/decisions/004-screening.md).
CONTENT_RUN = 4
# Words are compared by this many letters, so that "insults" equals "insult". Truncation needs no stemmer of the
# language (McNamee et al. 2009, "Addressing morphological variation in alphabetic languages").
STEM_LETTERS = 5
# The end of the preceding part, in any script: a mark, a dash or an arrow between spaces, a new line. A comma is no
# such end, because it may be inside a sentence after a field: "Tom: Good, and you?".
_BREAK = r"(?:\s*[[\p{Terminal_Punctuation}…—–|→·]--[,،、]]|\s+[-/=•]|-\s|\s*[\n\r\x85\u2028\u2029])"
_MARK = rf"(?:{_BREAK}|\s*[,،、])"
_OPEN, _CLOSE = r"[\p{Ps}<]", r"[\p{Pe}>]"
_QUOTE = r"[\p{Pe}\p{Pf}\p{Pi}\"'*_`~]"
_WRAP = rf"{_QUOTE}{{0,6}}"
# Bounded, so that a reply that consists of brackets or dashes takes no more time than other replies.
_FEW = r"[\W_]{0,12}"
# A field's name is one or two words of any language, or a text of about this length in a script without spaces.
_FIELD = r"(?:(?!\p{Ideographic}{7})[\w']{1,20}(?:[^\S\n]+[\w']{1,20})?)"
_JOINT = rf"{_WRAP}(?:\s*[:=|→–—]|\s+-\s|\s*[-=]>){_FEW}"
# "Not rude:", "Sehr höflich:", "不礼貌：".
_BEFORE = r"(?:\w{1,5}[\s-]+|\p{Ideographic}{1,2})?"
# Next to a label of one character, most characters make a different word: "你好：".
_BEFORE_ONE = r"(?:\w{1,5}[\s-]+|[不非没無无未])?"
# From this number of letters, an inflected form of a label is a heading too: "Rudely:", "Unhöfliche:".
_MIN_BENT = 4
# Number of characters at a text's end to search, in addition to the lengths of the label and the trait's name.
_TAIL = 120
# A sentence without a mark before it begins with a capitalised and a lower-case word. A sign that survives folding
# marks it. It ends only values of our own fields ("Label: bad The room"): other names have titles ("Anna: Good Morning
# to").
_SENTENCE = r"\p{Lu}[\w'’]*\s+\p{Ll}"
_SENTENCE_START = regex.compile(rf"(?<=\s)(?={_SENTENCE})")
_SENTENCE_SIGN = "\v"
# "5★" by itself, as in "5★ The room was ready", but not in prose: "5★ hotels", "a 5★ room".
_COUNTED_STARS = regex.compile(
    r"\d(?<=(?:^|[\p{Sentence_Terminal}…\n:=|(\[–—-])\s{0,3}\d)(?<!\d[.,]\d)\s?★"
    rf"(?=\s*(?:[^\p{{L}}\s★-]|-\s|\n|$|{_SENTENCE})|\s+{SPACELESS.pattern})",
    regex.V1,
)
_TAG = regex.compile(r"</?([a-z][\w-]*)\b[^<>]{0,200}>")
_INLINE_TAGS = frozenset("a b code em font i mark s small span strong sub sup u".split())
# A label that does not consist of words alone. Its words by themselves are not the label.
_NO_WORDS = regex.compile(r"[\p{S}#*@%/\\]|\A\P{L}*\Z")


def collect_own_words(model: Model, trait: Trait, language: str) -> frozenset[Run]:
    """Collect the runs of content words of a trait's description and paraphrases and of the brief.

    Runs that the seeds have are left out, because they belong to the genre. So are the words of topics and claims.
    """
    descriptions = () if trait.type in DEFINED_BY_WORDS else trait.descriptions
    texts = [*model.brief.in_scope, *model.brief.non_goals, *descriptions]
    content = frozenset(_cut(words) for text in texts for words in _list_content_runs(text, language))
    for seed in model.sample_seeds(MOST_SEEDS) if content else ():
        content -= {_cut(words) for words in _list_content_runs(seed.text, language)}
    return content


def find_own_words(text: str, own_words: frozenset[Run], language: str) -> str | None:
    """Return a run that a text shares with ``own_words``, from ``collect_own_words``; None if it shares none."""
    runs = _list_content_runs(text, language) if own_words else ()
    return next((" ".join(words) for words in runs if _cut(words) in own_words), None)


def find_label(text: str, trait: Trait) -> str | None:
    """Describe how a text names a label of a trait; None if it does not.

    The search is by form, in any language. A label leaks at the start before a mark, in brackets at either end, alone
    in the last sentence or line, as a hashtag, and after a field's name at either end. A symbol (★, 👍, 5/5) needs no
    mark next to it. A label of words also leaks next to the trait's name, and a label of several words anywhere, except
    for topics and claims. "Positive" and "negative" leak as values of the fields "pole", "label" and the trait's name.
    HTML tags, emphasis and invisible characters are ignored.
    """
    shown = fold(_SENTENCE_START.sub(_SENTENCE_SIGN, _level_stars(html.unescape(text))))
    bare = _TAG.sub(lambda tag: "" if tag[1] in _INLINE_TAGS else "\n", shown)
    for label, is_own in [*((trait.label(pole), True) for pole in POLES), *((pole, False) for pole in POLES)]:
        levelled = _level_stars(label)
        if regex.split(r"(?<=\w)\W", fold_name(levelled))[0] not in shown:
            continue
        starts, ends = _compile_places(levelled, trait.name, is_own)
        for form in {shown: None, bare: None}:
            if starts.match(form):
                return f"begins with the label {label!r}"
            if ends.search(form[-_TAIL - len(label) - len(trait.name) :]):
                return f"ends with the label {label!r}"
        if not is_own or trait.type in DEFINED_BY_WORDS or _NO_WORDS.search(label):
            continue
        form, word, title = normalise(text), normalise(label), regex.escape(normalise(trait.name))
        near_name = rf"\b(?:{title} (?:\w+ ){{0,2}}{regex.escape(word)}|{regex.escape(word)} {title})\b"
        if regex.search(near_name, form) or (len(word.split()) > 1 and f" {word} " in f" {form} "):
            return f"names the label {label!r}"
    return None


@lru_cache(maxsize=256)
def _compile_places(label: str, name: str, is_own: bool) -> tuple[regex.Pattern[str], regex.Pattern[str]]:
    """Compile the patterns of a label, or of the word for a pole, at the start and at the end of a folded text."""
    folded = fold_name(label)
    word = _escape(label)
    # A sign must not match inside a longer row of it: one star is not five stars.
    word = word if folded[0].isalnum() else rf"(?<!{regex.escape(folded[0])}){word}"
    word = word if folded[-1].isalnum() else rf"{word}(?!{regex.escape(folded[-1])})"
    # More letters after a label of four letters would make a different word: "Later:", "Reality:".
    bends = r"\w{0,4}" if len(folded) > _MIN_BENT else r"(?:\w\w)?"
    bent = f"{word}{bends}" if len(folded) >= _MIN_BENT and folded[-1].isalpha() else word
    before = _BEFORE if len(folded) > 1 else _BEFORE_ONE
    own = f"(?:{_escape(name)}|pole|label){_JOINT}"
    field = f"(?:{own}|{_FIELD}{_JOINT})"
    starts = [rf"{own}{word}{_WRAP}(?:{_MARK}|\s*{_SENTENCE_SIGN}|$)"]
    ends = [f"(?:^|{_MARK}){_FEW}{own}{word}"]
    if is_own:
        bracketed = f"{_OPEN}{_FEW}{field}?{before}{bent}{_FEW}{_CLOSE}"
        hashtag = "#" + _escape(label, r"[\s_-]*") + r"(?!\w)"
        starts += [bracketed, rf"{bent}{_WRAP}\s*[:|]", hashtag]
        ends += [bracketed, rf"(?<!\S){hashtag}(?:\s*#\w+)*"]
    if is_own and normalise(label) not in load_particles():
        # A hyphen without a space makes a different word: "Clear-cut", "No-one".
        starts += [rf"{before}{bent}{_WRAP}\s*[:|]", f"{word}{_WRAP}{_MARK}"]
        # A space ends the value of "label=good", and every value in a script without spaces: "ラベル：良い この部屋".
        ending = rf"{_WRAP}(?:{_BREAK}|(?<={SPACELESS.pattern})\s|$)|{_QUOTE}{_WRAP}{_MARK}"
        starts += [f"{field}{word}(?:{ending})", rf"{_FIELD}={_WRAP}{word}(?![\w'])"]
        ends.append(f"(?:^|{_MARK}){_FEW}{field}{word}")
        # Signs of sentences and lists, such as "!" and "+", leak only if they are alone in a line.
        is_sign = folded.isascii() and not any(map(str.isalnum, folded))
        ends.append(rf"\n\s*{word}" if is_sign else rf"(?:[\p{{Sentence_Terminal}}…\n]|\s[–—|-]){_FEW}{word}")
        starts.append(rf"{word}[*_`]{{1,3}}(?=[\s\w])")
        if not (is_sign or any(map(str.isalpha, folded)) or folded.isdecimal()):
            starts.append(rf"{field}?{word}(?!\w)")
            ends.append(rf"(?<!\w){word}")
    start = rf"{_FEW}(?:\d{{1,2}}[.)]\s*)?(?:{'|'.join(starts)})"
    return regex.compile(start, regex.V1), regex.compile(f"(?:{'|'.join(ends)}){_FEW}$", regex.V1)


def _escape(name: str, gap: str = r"\s+") -> str:
    return gap.join(map(regex.escape, fold_name(name).split()))


def _level_stars(text: str) -> str:
    return _COUNTED_STARS.sub(lambda counted: "★" * int(counted[0][0]), text.replace("⭐", "★").replace("🌟", "★"))


def _list_content_runs(text: str, language: str) -> list[Run]:
    words = list_content_words([text], language)
    return [tuple(words[start : start + CONTENT_RUN]) for start in range(len(words) - CONTENT_RUN + 1)]


def _cut(words: Run) -> Run:
    return tuple(word[:STEM_LETTERS].removesuffix("s") for word in words)
