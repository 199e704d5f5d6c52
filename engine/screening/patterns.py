"""Defines the patterns of talk about the task and of gaps to be filled in, and which of them hold for a model.

Each is meant to be precise in itself: talk is about the text that was asked for, a gap is one that nobody writes on
purpose. What is still ordinary in a model's own texts is no fault there (docs/decisions/030-what-gives-a-pole-away.md).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.domain.model import Model
from engine.domain.samples import Reason
from engine.screening.assistant_phrases import AS_AN_AI, ASSENT, HANDING_OVER, UP_TO, WRITING

_PREFIXES = (
    "explanation|example|output|answer|response|sample|exemplar|rewrite|rewritten text|version",
    "beispiel|beispieltext|ausgabe|antwort|erklärung|exemple|sortie|réponse|explication|ejemplo|salida|respuesta",
    "explicación|esempio|risposta|spiegazione|exemplo|saída|resposta|voorbeeld|uitvoer|antwoord|przykład|odpowiedź",
    "пример|ответ|örnek|cevap|例|例文|出力|回答|説明|示例|例子|输出|解释|예시|출력|답변|उदाहरण|उत्तर|مثال|إجابة",
)
# More seeds tell no more about a genre: 2,000 texts and 45 patterns take a second.
MOST_SEEDS = 2000
_CONVERSATION = re.compile(
    r"\b(?:chats?|conversations?|dialogues?|repl(?:y|ies)|answers?|responses?|forums?|support|help\s?desk|e-?mails?|mails?"
    r"|letters?|comments?|posts?|messages?\s+(?:to|from|between|in|that)|(?:chat|text|short|direct|voice)\s+messages?)\b",
    re.IGNORECASE,
)

_QUOTED = re.compile(r"[\"“”„«‘`]([^\"“”»’`]{3,300})[\"“”»’`]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One fault by its form.

    ``genre`` finds in a model's own words that its texts have this form by their nature; None if no genre has.
    """

    name: str
    reason: Reason
    form: re.Pattern[str]
    genre: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class WaivedPattern:
    """A pattern that does not hold for a model: ``found`` is what speaks for that, ``place`` where it stands.

    ``by_text`` says that a text of the model's own has the pattern, and not only its genre.
    """

    name: str
    found: str
    place: str
    by_text: bool


def _compile(name: str, reason: Reason, form: str, genre: re.Pattern[str] | None = None) -> Pattern:
    return Pattern(name, reason, re.compile(form, re.IGNORECASE), genre)


# Anchored patterns pass over quotation marks, brackets and marks of emphasis at the start.
_START = r"^[\s\"'“”„«「『*_#>(\[]*"
PATTERNS: tuple[Pattern, ...] = (
    _compile("a text that is handed over", "meta_talk", f"{_START}(?:{HANDING_OVER})"),
    _compile(
        "an offer to write",
        "meta_talk",
        rf"{_START}{ASSENT}(?:i\s+(?:can|will|have)|i['’](?:ll|ve)|let\s+me)\s+(?:\w+\s+)?"
        rf"(?:write|written|writing|generate|generated|rewrite|rewritten|compose|composed)\s+{UP_TO}(?:{WRITING}|examples?)\b",
    ),
    _compile(
        "an assistant's assent",
        "meta_talk",
        r"^(?:sure|certainly|of course|absolutely)(?:!|\W+here\s+(?:it\s+is|they\s+are|you\s+(?:go|are))\b)",
        _CONVERSATION,
    ),
    _compile("a model that speaks of itself", "meta_talk", AS_AN_AI),
    _compile(
        "a text that speaks of itself",
        "meta_talk",
        r"\bthis\s+(?:text|exemplar)\s+(?:\w+ly\s+)?(?:shows|demonstrates|illustrates|exemplifies)\b"
        r"|\b(?:this|the\s+(?:following|above))\s+(?:text|example|sample|exemplar|passage|version|message|reply|response)\s+"
        r"[^.!?\n]{0,60}?\b(?:(?:positive|negative)\s+(?:pole|end|label|example|side)|exemplars?|the\s+trait|the\s+label"
        r"|(?:your|the|these)\s+(?:instructions|criteria|prompt|constraints))\b"
        r"|\b(?:dieser\s+(?:beispiel)?text|dieses\s+beispiel)\s+(?:zeigt|veranschaulicht|verdeutlicht)\b"
        r"|\bce\s+texte\s+(?:montre|illustre)\b|\beste\s+texto\s+(?:muestra|ilustra|mostra)\b"
        r"|この(?:文章|テキスト|例文?)は[^。]{0,30}(?:示して|表して)|[这這]段(?:文本|文字|话)(?:展示|体现|說明|说明)了",
    ),
    _compile(
        "a text called an example",
        "meta_talk",
        r"\b(?:positive|negative)\s+(?:exemplars?\b|example\s+of\s+(?:what|the\s+(?:trait|label|scale))\b"
        r"|(?:pole|end)\s+of\s+(?:the|this)\s+(?:trait|scale|spectrum)\b)",
    ),
    _compile("an assistant's farewell", "meta_talk", r"\bi\s+hope\s+(?:this|that)\s+helps\b", _CONVERSATION),
    _compile(
        "an offer of more",
        "meta_talk",
        r"\blet\s+me\s+know\s+if\s+you(?:['’]d|\s+would|\s+need|\s+want)?(?:\s+like)?\s+(?:me\s+to\s+"
        r"(?:adjust|revise|rewrite|rephrase|generate|write|create)|(?:any\s+)?(?:more|other|another|further|additional)\s+"
        r"(?:examples?|texts?|versions?|samples?|variations?))\b",
    ),
    *(
        _compile(
            f"{prefixes.split('|')[0]!r} before a text", "meta_talk", rf"{_START}(?:{prefixes})\s?\d*[*_]*\s*[:：]"
        )
        for prefixes in "|".join(_PREFIXES).split("|")
    ),
    _compile("a gap for the reader", "placeholder", r"(?<!\w)\[(?:your|insert|enter|fill\s+in)\b[^\]]{0,200}\](?!\()"),
    _compile(
        "a gap in brackets",
        "placeholder",
        r"(?<!\w)\[(?:name|company|date|product|customer|user|recipient|x+|link|phone|email|address|number|tbd|tbc)\b[^\]]{0,200}\]"
        r"(?!\()",
    ),
    _compile("a text left out", "placeholder", r"\[redacted\b[^\]]{0,200}\](?!\()"),
    _compile("a template's variable", "placeholder", r"\{\{.{0,200}?\}\}"),
    _compile(
        "a gap in angle brackets",
        "placeholder",
        r"<(?P<tag>insert|your|name|placeholder)\b[^>]{0,200}>(?!.{0,5000}</(?P=tag)>)",
    ),
    _compile("filler", "placeholder", r"\blorem\s+ipsum\b"),
    _compile(
        "a row of x",
        "placeholder",
        # Not a rating, a Roman number or kisses: XXX in a number or an amount, after a greeting, or longer than that.
        r"\d[-–. ]?x{3,}\b|\bx{2,}[-–./ ]x{2,}\b|[$€£#]\s?x{2,}\b|\b(?:dear|hi|hello|mr|mrs|ms|dr)\.?\s+x{3,}\b"
        r"|\bx{4,}(?![\s!.]*$)",
    ),
    _compile(
        "a gap that is to be filled", "placeholder", r"[(\[]\s*(?:to be (?:filled in|determined|added)|tbd|tbc)\s*[)\]]"
    ),
    _compile("a line to be filled in", "placeholder", r"_{4,}"),
    _compile("a name for nobody", "placeholder", r"\b(?:john|jane)\s+doe\b"),
    _compile(
        "a name for nothing", "placeholder", r"\bfoo[ _-]?bar\b", re.compile(r"\bcode|program|software|developer", re.I)
    ),
    *(
        _compile(f"{label!r} before a text", "prompt_echo", rf"^{label}\s*:")
        for label in ("topic", "text", "verdict", "audience", "form", "length", "subject", "pole", "trait")
    ),
)


def find_pattern(text: str, reason: Reason, waived: frozenset[str]) -> str | None:
    """Finds the first pattern of a reason in a text, but for the waived ones; returns what matched it."""
    found = (
        pattern.form.search(text) for pattern in PATTERNS if pattern.reason == reason and pattern.name not in waived
    )
    return next((match.group() for match in found if match), None)


def list_waived_patterns(model: Model, forms: Sequence[str] = ()) -> tuple[WaivedPattern, ...]:
    """Lists the patterns that do not hold for a model, since its own texts have them, or its genre by its nature.

    Own texts are the seeds of either pole, and what description, brief, traits and forms say or quote.

    Args:
        forms: the scenarios' forms.
    """
    words = tuple(_list_words(model, forms))
    own = [*((seed.text, seed.place) for seed in model.sample_seeds(MOST_SEEDS)), *_quote(words)]
    waived = []
    for pattern in PATTERNS:
        if match := _find_first(pattern.form, own):
            waived.append(WaivedPattern(pattern.name, *match, by_text=True))
        elif pattern.genre and (match := _find_first(pattern.genre, words)):
            waived.append(WaivedPattern(pattern.name, *match, by_text=False))
    return tuple(waived)


def _find_first(form: re.Pattern[str], texts: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    return next(((hit.group(), place) for text, place in texts if (hit := form.search(text))), None)


def _quote(words: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields the texts, and what is quoted in them as a text of its own."""
    for text, place in words:
        yield text, place
        for quoted in _QUOTED.findall(text):
            yield quoted, place


def _list_words(model: Model, forms: Sequence[str]) -> Iterator[tuple[str, str]]:
    brief = model.brief
    yield model.description, "the description"
    for text in (*brief.intent, *brief.domain, *brief.exemplars_of_good, *brief.failure_modes, *brief.edge_cases):
        yield text, "the brief"
    for trait in model.traits:
        for text in (trait.description, *trait.positive_paraphrase, *trait.negative_paraphrase):
            yield text, f"the trait {trait.key}"
    for form in forms:
        yield form, "the forms of its texts"
