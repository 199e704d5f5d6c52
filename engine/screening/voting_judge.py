"""Let the chat judge vote on each text without knowing its label, until the majority is settled.

The poles are swapped from vote to vote. Of a reply the answer counts that is named and stands alone. A decision model
has one vote: at the same request it decides the same, however often it is asked.
docs/decisions/003-choice.md has the form, the third vote and what they cost.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from unicodedata import normalize

import regex

from engine.asking.plan import MIN_HOPELESS, Plan
from engine.asking.prompts import make_vote_schema, name_neither, write_vote_prompt, write_words_only
from engine.asking.reply_json import UnreadableError, drop_thoughts, find_objects
from engine.domain.model import POLES, Model, Pole
from engine.domain.progress import CallsPlanned, Progress
from engine.domain.samples import Exemplar
from engine.domain.votes import Vote, VoteAnswer, decide
from engine.errors import ProviderError, RequestRefusedError, RetryableProviderError
from engine.llm.client.prices import add_costs
from engine.llm.client.request import REFUSED, Endpoint, Prompt, Reply, Request
from engine.llm.gateway.model_gateway import ModelGateway
from engine.screening import sense
from engine.system.concurrency import gather_or_cancel, log_context
from engine.text.formatting import quote_reply

LOGGER = logging.getLogger("exemplars.votes")
# A vote is a label in JSON, and a yes or no for sense and each question; the rest is room for a code fence or a
# preamble.
VOTE_TOKENS, YES_NO_TOKENS = 100, 12
# The first two votes, one in each order of the poles, are asked for at temperature 0. A later vote, or a second
# attempt, has the same prompt as an earlier one: at temperature 0 its answer would be the same.
LATER_TEMPERATURE = 0.7
SWAPPED_ONCE = 2
# Where so many texts have no vote that can be read, none will have: with 15 % unreadable replies that is once in four
# million runs by chance.
FIRST_TEXTS = 4
# After a reply that is not a valid vote, the judge is asked once more.
ATTEMPTS = 2
# A named answer becomes one of these characters, which no label has after folding.
_FIRST_SIGN = 0xE000
_OBJECT = regex.compile(r"\{[^{}]*\}")
_UNSEEN = regex.compile(r"[\p{Cf}\p{Co}\ufe0e\ufe0f]")
_SEPARATORS = regex.compile(r"[.!;:()\[\]{}<>|。\n]+|\s\p{Pd}\s|—")
# A question is none of the words that may stand around an answer.
_WORD = regex.compile(r"\w+(?:['’]\w+)?|[?？]")
_REASON = regex.compile(r"\b(?:because|since)\b.*", regex.DOTALL)
_NEGATION = regex.compile(r"\b(?:not|no|never|nor|cannot|hardly|barely|\w+n['’]t)\b")
# What may stand around an answer in its sentence, and turns none round.
_AROUND = frozenset(
    "a an the i'd it's i would say choose pick vote judge my this it text passage answer verdict choice label final "
    "correct best is as for that to be reads stands at end so therefore thus of them these two".split()
)


class VotingJudge:
    """The judge model of a run, and how many votes it casts on each text."""

    def __init__(self, gateway: ModelGateway, votes: int) -> None:
        self.gateway = gateway
        self.votes = votes
        # What came of the trial by which it is decided whether the judge is asked for sense; None before it.
        self.trial: sense.JudgeCalibration | None = None
        # Given the first votes on a round's texts before they are asked for; it may raise, and be given them again.
        self.ask_ahead: Callable[[Plan, Sequence[Request], ModelGateway], Awaitable[None]] | None = None
        self._is_any_read = False
        # By the labels of their requests.
        self._unread: dict[str, str] = {}

    async def judge(self, plan: Plan, exemplars: Sequence[Exemplar], progress: Progress) -> list[Exemplar]:
        """Return the exemplars in order; accepted ones get votes, and are rejected if these contradict their label.

        The reason is ``wrong_label`` if the votes decide for the other pole, ``off_pole`` if they decide for neither,
        ``cell_failed`` if the judge fails for good; then as ``find_objection`` says.

        Before the first vote the judge is tried on texts of which it is known whether they make sense. Until a vote
        could be read, the first texts are voted on before the others.

        Raises:
            ProviderError: none of the judge's first answers is a vote; also, like BudgetError and StoreError, as
                ``ModelGateway.complete``.
        """
        if not self.votes:
            return list(exemplars)
        standing = [number for number, exemplar in enumerate(exemplars) if exemplar.is_accepted]
        if self.trial is None and standing:
            self.trial = await self._try(plan, progress)
        least = self.votes // 2 + 1
        if self.ask_ahead is not None:
            asked = [(exemplars[place], number) for place in standing for number in range(least)]
            await self.ask_ahead(plan, [self._make_request(plan, item, n) for item, n in asked], self.gateway)
        progress.report(CallsPlanned(least * len(standing), judges=True))
        end = 0 if self._is_any_read else 1 + max(standing[:FIRST_TEXTS], default=-1)
        judged: list[Exemplar] = []
        for part in (exemplars[:end], exemplars[end:]):
            judged += await gather_or_cancel(self._judge(plan, exemplar, progress) for exemplar in part)
            if not self._is_any_read and len(self._unread) >= MIN_HOPELESS:
                raise ProviderError(self._explain_unread(plan))
        return judged

    async def _judge(self, plan: Plan, exemplar: Exemplar, progress: Progress) -> Exemplar:
        if not exemplar.is_accepted or exemplar.text is None:
            return exemplar
        votes: list[Vote] = []
        costs: list[float | None] = []
        with log_context(trait=exemplar.trait, cell=exemplar.cell_id, round=exemplar.round_no):
            try:
                while (outcome := decide(votes, self.votes)) is None:
                    if len(votes) > self.votes // 2:
                        progress.report(CallsPlanned(1, judges=True))
                    votes.append(await self._ask_vote(plan, exemplar, len(votes), costs))
            except (RetryableProviderError, RequestRefusedError) as error:
                told = {"reason": "cell_failed", "model": self.gateway.endpoint.name, "error": type(error).__name__}
                LOGGER.warning("No vote came on %s: %s", exemplar.key, error, extra=told)
                failed = replace(exemplar, reason="cell_failed", detail=f"the judge did not answer: {error}")
                return replace(failed, votes=tuple(votes), cost_usd=add_costs(exemplar.cost_usd, *costs))
        judged = replace(exemplar, votes=tuple(votes), cost_usd=add_costs(exemplar.cost_usd, *costs))
        if outcome == exemplar.pole:
            objection = sense.find_objection(votes, plan.model.questions)
            return replace(judged, reason=objection[0], detail=objection[1]) if objection else judged
        detail = f"the judge's votes: {', '.join(vote.answer for vote in votes)}"
        return replace(judged, reason="off_pole" if outcome == "neither" else "wrong_label", detail=detail)

    async def _try(self, plan: Plan, progress: Progress) -> sense.JudgeCalibration:
        """Try the judge; an answer that cannot be read, or is refused, is wrong.

        Raises:
            RetryableProviderError: an answer does not come. It could come at the next start, which would then have
                other votes asked for.
        """
        texts = sense.list_trial_texts(plan)
        progress.report(CallsPlanned(len(texts), judges=True))

        async def ask(number: int, tried: sense.TrialText) -> bool:
            decides = self.gateway.endpoint.decides
            request = make_vote_request(plan, tried.trait, tried.text, POLES[0], asks_sense=True, decides=decides)
            try:
                reply = await self.gateway.complete(replace(request, label=f"sense/{number}"))
            except RequestRefusedError:
                return False
            vote = read_vote(reply, plan.model, tried.trait, POLES[0], self.gateway.endpoint, asks_sense=True)
            return vote.answer != "invalid" and vote.sense == tried.makes_sense

        right = await gather_or_cancel(ask(number, tried) for number, tried in enumerate(texts))
        trial = sense.judge_trial(self.gateway.endpoint.name, texts, right)
        LOGGER.info("%s", trial)
        return trial

    async def _ask_vote(self, plan: Plan, exemplar: Exemplar, number: int, costs: list[float | None]) -> Vote:
        """Ask for one vote; it is "invalid" if no reply is valid. What the provider refuses is not asked for again.

        The cost of each reply is added to ``costs`` at once, so that it counts even if a later call fails.
        """
        first, endpoint = choose_first(plan.seed, exemplar.key, number), self.gateway.endpoint
        attempts = 1 if endpoint.decides else ATTEMPTS
        for attempt in range(attempts):
            request = self._make_request(plan, exemplar, number, attempt)
            reply = await self.gateway.complete(request)
            costs.append(reply.cost_usd)
            vote = read_vote(reply, plan.model, exemplar.trait, first, endpoint, self._asks_sense(exemplar))
            if vote.answer == "invalid":
                if not self._is_any_read:
                    self._unread[request.label] = reply.text
            elif attempt == attempts - 1 or all(answer is not None for _, answer in vote.answers):
                self._is_any_read = True
                return vote
            if reply.finish == REFUSED:
                break
        return Vote(endpoint.name, "invalid", first)

    def _make_request(self, plan: Plan, exemplar: Exemplar, number: int, attempt: int = 0) -> Request:
        first, decides = choose_first(plan.seed, exemplar.key, number), self.gateway.endpoint.decides
        asks_sense = self._asks_sense(exemplar)
        request = make_vote_request(plan, exemplar.trait, exemplar.text or "", first, asks_sense, decides)
        first_of_its_kind = number < SWAPPED_ONCE and attempt == 0
        temperature = 0.0 if first_of_its_kind else LATER_TEMPERATURE
        return replace(request, temperature=temperature, label=f"vote/{exemplar.key}/{number}/{attempt}")

    def _asks_sense(self, exemplar: Exemplar) -> bool:
        return self.trial is not None and self.trial.covers(exemplar.trait)

    def _explain_unread(self, plan: Plan) -> str:
        endpoint = self.gateway.endpoint
        different = dict.fromkeys(self._unread[label] for label in sorted(self._unread))
        quoted = [quote_reply(said) for said in islice(different, 2)]
        return (
            f"The judge {endpoint.name} casts no vote that can be read: none of its first {len(self._unread)} answers "
            f"names one of the labels it is given, or neither, such as {' and '.join(quoted)}; no more was asked. Take "
            f"another judge ({endpoint.settings}_MODEL). The replies are kept and not paid for again; to ask the same "
            f"judge anew, type 'exemplars prune --replies {plan.model.handle}' first"
        )


def choose_first(seed: int, key: str, number: int) -> Pole:
    """Return the pole shown first in a vote: drawn by ``seed`` for a text's first vote, then swapped each time."""
    drawn = hashlib.sha256(f"{seed}/{key}/vote".encode()).digest()[0]
    return POLES[(drawn + number) % 2]


def make_vote_request(
    plan: Plan, trait: str, text: str, first: Pole, asks_sense: bool = False, decides: bool = False
) -> Request:
    """Make the request for one vote on a text, at temperature 0.

    Args:
        decides: whether it is for a decision model.
    """
    asked = plan.model.trait(trait)
    named = map(sense.name_question, range(1, len(plan.model.questions) + 1))
    more = [*[sense.SENSE] * asks_sense, *named]
    tokens = VOTE_TOKENS + YES_NO_TOKENS * len(more)
    if decides:
        questions = sense.write_decision(plan.model, asked, first, asks_sense)
        return Request(Prompt(text), tokens, 0.0, questions=questions, judges=True)
    prompt = write_vote_prompt(plan.model, asked, text, first, plan.language.name, asks_sense)
    schema = make_vote_schema([asked.label(pole) for pole in POLES], more)
    return Request(prompt, tokens, 0.0, schema, in_words=write_words_only(prompt, schema), judges=True)


def read_vote(
    reply: Reply, model: Model, trait: str, first: Pole, endpoint: Endpoint, asks_sense: bool = False
) -> Vote:
    """Read what a reply says of all that was asked for; nothing where it names no pole's label and not "neither"."""
    invalid = Vote(endpoint.name, "invalid", first)
    if reply.finish == REFUSED:
        return invalid
    objects: Sequence[Mapping[str, object]] = ()
    try:
        objects = find_objects(reply.text)
        said = _find_message(objects, reply.text)
    except UnreadableError as error:
        said = "" if error.breaks_off or reply.finish == "length" else drop_thoughts(reply.text)
    poles: dict[str, VoteAnswer] = {model.trait(trait).label(pole): pole for pole in POLES}
    answer = _find_answer(said, [*poles, name_neither([*poles])])
    if answer is None:
        return invalid
    probability = objects[-1].get("probability") if endpoint.decides and objects else None
    asked = {sense.name_question(number): question.ask for number, question in enumerate(model.questions, start=1)}
    return Vote(
        endpoint.name,
        poles.get(answer, "neither"),
        first,
        sense.read_yes_no(objects, sense.SENSE) if asks_sense else None,
        tuple((ask, sense.read_yes_no(objects, name)) for name, ask in asked.items()),
        probability if isinstance(probability, float) else None,
    )


def _find_answer(text: str, answers: Sequence[str]) -> str | None:
    """The answer that a text gives: exactly one of ``answers`` is named in it, as whole words, and stands alone.

    It may be any case and width, with marks around it, in a sentence of words that turn none round, before a reason.
    """
    said = _fold(text)
    names = {_write_pattern(words): answer for answer in answers if (words := _fold(answer).split())}
    # The longest first, since one may contain another.
    ordered = sorted(names, key=len, reverse=True)
    for number, pattern in enumerate(ordered):
        said = regex.sub(pattern, chr(_FIRST_SIGN + number), said)
    named = {character for character in said if 0 <= ord(character) - _FIRST_SIGN < len(ordered)}
    if len(named) != 1:
        return None
    [sign] = named
    lines = [line for line in said.splitlines() if not _NEGATION.search(line.partition(sign)[0])]
    parts = [part for part in _SEPARATORS.split("\n".join(lines)) if sign in part]
    bare = (_REASON.sub("", part.replace(sign, " ")).replace("_", " ").replace("’", "'") for part in parts)
    is_alone = any(_AROUND.issuperset(_WORD.findall(part)) for part in bare)
    return names[ordered[ord(sign) - _FIRST_SIGN]] if is_alone else None


def _find_message(objects: Sequence[Mapping[str, object]], text: str) -> str:
    """The field ``answer`` of the last object that has one, else its texts but for yes or no to other questions, else
    what stands around it.
    """
    given = [fields["answer"] for fields in objects if not isinstance(fields.get("answer", {}), dict)]
    others = [
        value for name, value in objects[-1].items() if name != sense.SENSE and not name.startswith(sense.QUESTION)
    ]
    said = given[-1] if given else others or _OBJECT.sub("", drop_thoughts(text))
    return "\n".join(item for item in (said if isinstance(said, list) else [said]) if isinstance(item, str))


def _fold(text: str) -> str:
    return normalize("NFKC", _UNSEEN.sub("", text)).casefold()


def _write_pattern(words: Sequence[str]) -> str:
    """The pattern of an answer that is no part of a longer word, or of a longer row of its sign."""
    ends = words[0][0], words[-1][-1]
    first, last = (r"\w" if regex.match(r"\w", end) else regex.escape(end) for end in ends)
    return rf"(?<!{first})" + r"\s+".join(map(regex.escape, words)) + rf"(?!{last})"
