"""Let the chat judge vote on each text without knowing its label, until the majority is decided.

The poles are swapped from vote to vote. An answer counts only if it stands alone in the reply. A decision model
has one vote, because it gives the same answer to the same request.
docs/decisions/003-choice.md: a vote's form, why a third, and their costs.
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
from engine.domain.definition import Pole
from engine.domain.model import POLES, Model
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
# Tokens of a label in JSON, with room for a code fence or a preamble, and of a yes or no to a further question.
VOTE_TOKENS, YES_NO_TOKENS = 100, 12
# The first two votes, one in each order of the poles, have temperature 0. A later vote, or a second attempt, has the
# same prompt as an earlier vote, and at temperature 0 its answer would be the same.
LATER_TEMPERATURE = 0.7
NEW_PROMPTS = 2
# Number of texts to vote on first. If none has a readable vote, no text will have one: with 15 % unreadable
# replies, this happens by chance once in four million runs.
FIRST_TEXTS = 4
# After an invalid vote, the judge is asked once more.
ATTEMPTS = 2
# Named answers are replaced by characters from this code point on. No folded label has one.
_FIRST_SIGN = 0xE000
_OBJECT = regex.compile(r"\{[^{}]*\}")
_UNSEEN = regex.compile(r"[\p{Cf}\p{Co}\ufe0e\ufe0f]")
_SEPARATORS = regex.compile(r"[.!;:()\[\]{}<>|。\n]+|\s\p{Pd}\s|—")
# A question mark counts as a word, and is not among the words that may surround an answer.
_WORD = regex.compile(r"\w+(?:['’]\w+)?|[?？]")
_REASON = regex.compile(r"\b(?:because|since)\b.*", regex.DOTALL)
_NEGATION = regex.compile(r"\b(?:not|no|never|nor|cannot|hardly|barely|\w+n['’]t)\b")
# Words that may surround an answer in its sentence without changing its meaning.
_AROUND = frozenset(
    "a an the i'd it's i would say choose pick vote judge my this it text passage answer verdict choice label final "
    "correct best is as for that to be reads stands at end so therefore thus of them these two".split()
)


class VotingJudge:
    """The judge model of a run, with the number of its votes on each text."""

    def __init__(self, gateway: ModelGateway, votes: int) -> None:
        self.gateway = gateway
        self.votes = votes
        # The calibration decides whether the judge is asked if texts make sense. None before the calibration.
        self.trial: sense.JudgeCalibration | None = None
        # Receives the requests for the first votes of a round in advance. If it raises, it may receive them again.
        self.ask_ahead: Callable[[Plan, Sequence[Request], ModelGateway], Awaitable[None]] | None = None
        self._has_read_vote = False
        # Texts of unreadable replies, by the labels of their requests.
        self._unreadable: dict[str, str] = {}

    async def judge(self, plan: Plan, exemplars: Sequence[Exemplar], progress: Progress) -> list[Exemplar]:
        """Return the exemplars in order; accepted ones get votes, and are rejected if the votes contradict their label.

        The reason is ``wrong_label`` if the votes decide for the opposite pole, ``off_pole`` if they decide for
        neither, ``cell_failed`` if the judge fails for good, or else the reason of ``find_objection``.

        Before the first vote, the judge is calibrated on texts that are known to make sense or not. Until a vote is
        readable, the first texts are voted on before the rest.

        Raises:
            ProviderError: none of the judge's first answers is a vote. Also raised, like BudgetError and StoreError, by
                ``ModelGateway.complete``.
        """
        if not self.votes:
            return list(exemplars)
        accepted = [number for number, exemplar in enumerate(exemplars) if exemplar.is_accepted]
        if self.trial is None and accepted:
            self.trial = await self._calibrate(plan, progress)
        least = self.votes // 2 + 1
        if self.ask_ahead is not None:
            first_votes = [(exemplars[place], number) for place in accepted for number in range(least)]
            await self.ask_ahead(plan, [self._make_request(plan, item, n) for item, n in first_votes], self.gateway)
        progress.report(CallsPlanned(least * len(accepted), judges=True))
        end = 0 if self._has_read_vote else 1 + max(accepted[:FIRST_TEXTS], default=-1)
        judged: list[Exemplar] = []
        for part in (exemplars[:end], exemplars[end:]):
            judged += await gather_or_cancel(self._judge(plan, exemplar, progress) for exemplar in part)
            if not self._has_read_vote and len(self._unreadable) >= MIN_HOPELESS:
                raise ProviderError(self._explain_unreadable(plan))
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
                extra = {"reason": "cell_failed", "model": self.gateway.endpoint.name, "error": type(error).__name__}
                LOGGER.warning("No vote on %s: %s", exemplar.key, error, extra=extra)
                failed = replace(exemplar, reason="cell_failed", detail=f"the judge did not answer: {error}")
                return replace(failed, votes=tuple(votes), cost_usd=add_costs(exemplar.cost_usd, *costs))
        judged = replace(exemplar, votes=tuple(votes), cost_usd=add_costs(exemplar.cost_usd, *costs))
        if outcome == exemplar.pole:
            objection = sense.find_objection(votes, plan.model.questions)
            return replace(judged, reason=objection[0], detail=objection[1]) if objection else judged
        detail = f"the judge's votes: {', '.join(vote.answer for vote in votes)}"
        return replace(judged, reason="off_pole" if outcome == "neither" else "wrong_label", detail=detail)

    async def _calibrate(self, plan: Plan, progress: Progress) -> sense.JudgeCalibration:
        """Calibrate the judge. An unreadable answer, or a refusal, counts as wrong.

        Raises:
            RetryableProviderError: an answer is missing. It is not counted as wrong, because the next start could get
                it, and would then request different votes.
        """
        texts = sense.list_trial_texts(plan)
        progress.report(CallsPlanned(len(texts), judges=True))

        async def ask(number: int, trial: sense.TrialText) -> bool:
            decides = self.gateway.endpoint.decides
            request = make_vote_request(plan, trial.trait, trial.text, POLES[0], asks_sense=True, decides=decides)
            try:
                reply = await self.gateway.complete(replace(request, label=f"sense/{number}"))
            except RequestRefusedError:
                return False
            vote = read_vote(reply, plan.model, trial.trait, POLES[0], self.gateway.endpoint, asks_sense=True)
            return vote.answer != "invalid" and vote.sense == trial.makes_sense

        right = await gather_or_cancel(ask(number, trial) for number, trial in enumerate(texts))
        calibration = sense.judge_trial(self.gateway.endpoint.name, texts, right)
        LOGGER.info("%s", calibration)
        return calibration

    async def _ask_vote(self, plan: Plan, exemplar: Exemplar, number: int, costs: list[float | None]) -> Vote:
        """Request one vote; it is "invalid" if no reply is valid. A request that the provider refuses is not repeated.

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
                if not self._has_read_vote:
                    self._unreadable[request.label] = reply.text
            elif attempt == attempts - 1 or all(answer is not None for _, answer in vote.answers):
                self._has_read_vote = True
                return vote
            if reply.finish == REFUSED:
                break
        return Vote(endpoint.name, "invalid", first)

    def _make_request(self, plan: Plan, exemplar: Exemplar, number: int, attempt: int = 0) -> Request:
        first, decides = choose_first(plan.seed, exemplar.key, number), self.gateway.endpoint.decides
        asks_sense = self._asks_sense(exemplar)
        request = make_vote_request(plan, exemplar.trait, exemplar.text or "", first, asks_sense, decides)
        is_new_prompt = number < NEW_PROMPTS and attempt == 0
        temperature = 0.0 if is_new_prompt else LATER_TEMPERATURE
        return replace(request, temperature=temperature, label=f"vote/{exemplar.key}/{number}/{attempt}")

    def _asks_sense(self, exemplar: Exemplar) -> bool:
        return self.trial is not None and self.trial.covers(exemplar.trait)

    def _explain_unreadable(self, plan: Plan) -> str:
        endpoint, count = self.gateway.endpoint, len(self._unreadable)
        different = dict.fromkeys(self._unreadable[label] for label in sorted(self._unreadable))
        quoted = [quote_reply(reply) for reply in islice(different, 2)]
        return (
            f"The judge {endpoint.name} casts no vote that can be read: none of its first {count} answers names one of "
            f"the labels, or 'neither'. Examples: {' and '.join(quoted)}. Judging stopped there. Choose another "
            f"judge ({endpoint.settings}_MODEL). The replies are kept and not paid for again; to ask the same judge "
            f"anew, run 'exemplars prune --replies {plan.model.handle}' first"
        )


def choose_first(seed: int, key: str, number: int) -> Pole:
    """Return the first pole in a vote's prompt: drawn by ``seed`` for a text's first vote, then swapped each time."""
    drawn = hashlib.sha256(f"{seed}/{key}/vote".encode()).digest()[0]
    return POLES[(drawn + number) % 2]


def make_vote_request(
    plan: Plan, trait: str, text: str, first: Pole, asks_sense: bool = False, decides: bool = False
) -> Request:
    """Return the request for one vote on a text, at temperature 0.

    Args:
        decides: whether the judge is a decision model.
    """
    voted = plan.model.trait(trait)
    names = map(sense.name_question, range(1, len(plan.model.questions) + 1))
    more = [*[sense.SENSE] * asks_sense, *names]
    tokens = VOTE_TOKENS + YES_NO_TOKENS * len(more)
    if decides:
        questions = sense.write_decision(plan.model, voted, first, asks_sense)
        return Request(Prompt(text), tokens, 0.0, questions=questions, judges=True)
    prompt = write_vote_prompt(plan.model, voted, text, first, plan.language.name, asks_sense)
    schema = make_vote_schema([voted.label(pole) for pole in POLES], more)
    return Request(prompt, tokens, 0.0, schema, in_words=write_words_only(prompt, schema), judges=True)


def read_vote(
    reply: Reply, model: Model, trait: str, first: Pole, endpoint: Endpoint, asks_sense: bool = False
) -> Vote:
    """Read a vote with all its answers from a reply; "invalid" if it has no pole's label and no "neither"."""
    invalid = Vote(endpoint.name, "invalid", first)
    if reply.finish == REFUSED:
        return invalid
    objects: Sequence[Mapping[str, object]] = ()
    try:
        objects = find_objects(reply.text)
        message = _find_message(objects, reply.text)
    except UnreadableError as error:
        message = "" if error.breaks_off or reply.finish == "length" else drop_thoughts(reply.text)
    poles: dict[str, VoteAnswer] = {model.trait(trait).label(pole): pole for pole in POLES}
    answer = _find_answer(message, [*poles, name_neither([*poles])])
    if answer is None:
        return invalid
    probability = objects[-1].get("probability") if endpoint.decides and objects else None
    questions = {sense.name_question(number): item.ask for number, item in enumerate(model.questions, start=1)}
    return Vote(
        endpoint.name,
        poles.get(answer, "neither"),
        first,
        sense.read_yes_no(objects, sense.SENSE) if asks_sense else None,
        tuple((ask, sense.read_yes_no(objects, name)) for name, ask in questions.items()),
        probability if isinstance(probability, float) else None,
    )


def _find_answer(text: str, answers: Sequence[str]) -> str | None:
    """Return the answer in a text, if the text names exactly one of ``answers``, as whole words that stand alone.

    Case and width do not matter. Marks and words that do not change the meaning may surround it; a reason may follow.
    """
    folded = _fold(text)
    names = {_write_pattern(words): answer for answer in answers if (words := _fold(answer).split())}
    # The longest first, because one answer may contain another.
    ordered = sorted(names, key=len, reverse=True)
    for number, pattern in enumerate(ordered):
        folded = regex.sub(pattern, chr(_FIRST_SIGN + number), folded)
    named = {character for character in folded if 0 <= ord(character) - _FIRST_SIGN < len(ordered)}
    if len(named) != 1:
        return None
    [sign] = named
    lines = [line for line in folded.splitlines() if not _NEGATION.search(line.partition(sign)[0])]
    parts = [part for part in _SEPARATORS.split("\n".join(lines)) if sign in part]
    bare = (_REASON.sub("", part.replace(sign, " ")).replace("_", " ").replace("’", "'") for part in parts)
    is_alone = any(_AROUND.issuperset(_WORD.findall(part)) for part in bare)
    return names[ordered[ord(sign) - _FIRST_SIGN]] if is_alone else None


def _find_message(objects: Sequence[Mapping[str, object]], text: str) -> str:
    """Return the field ``answer`` of the last object that has one, else the last object's texts except answers to other
    questions, else the text around the objects.
    """
    answers = [fields["answer"] for fields in objects if not isinstance(fields.get("answer", {}), dict)]
    others = [
        value for name, value in objects[-1].items() if name != sense.SENSE and not name.startswith(sense.QUESTION)
    ]
    message = answers[-1] if answers else others or _OBJECT.sub("", drop_thoughts(text))
    return "\n".join(item for item in (message if isinstance(message, list) else [message]) if isinstance(item, str))


def _fold(text: str) -> str:
    return normalize("NFKC", _UNSEEN.sub("", text)).casefold()


def _write_pattern(words: Sequence[str]) -> str:
    """Return the pattern of an answer that is not part of a longer word or a row of the same sign."""
    ends = words[0][0], words[-1][-1]
    first, last = (r"\w" if regex.match(r"\w", end) else regex.escape(end) for end in ends)
    return rf"(?<!{first})" + r"\s+".join(map(regex.escape, words)) + rf"(?!{last})"
