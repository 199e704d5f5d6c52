"""Faults: all that a provider may do wrong, and the script that says which call meets which."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal, get_args

SentAway = Literal["limited", "limited_seconds", "limited_date", "error_500", "error_502", "error_503", "error_529"]
OfTheLine = Literal["reset_before", "reset_middle", "hang", "drip", "cut_reply", "cut_body"]
OfTheModel = Literal["empty", "no_choices", "not_json", "wrong_keys", "extra_fields", "german", "filtered"]
OfThePrompt = Literal["policy", "refusal", "too_long"]
# What ends a run, since nothing will come of asking again.
Ending = Literal["wrong_key", "no_model", "quota_429", "quota_402"]
Fault = Literal[SentAway, OfTheLine, OfTheModel, OfThePrompt, Ending]
FAULTS: tuple[Fault, ...] = get_args(Fault)
PASSING: tuple[Fault, ...] = tuple(fault for fault in FAULTS if fault not in get_args(Ending))
# What is answered before the model is asked, and so at once.
AT_ONCE: frozenset[Fault] = frozenset(
    {"limited", "limited_seconds", "limited_date", "error_503", "error_529", "policy", "too_long", *get_args(Ending)}
)
AT_ONCE_SHARE = 0.1
# What lies in the prompt, and so is the same at each attempt.
OF_PROMPT: frozenset[Fault] = frozenset({*get_args(OfThePrompt), "filtered"})


@dataclass(frozen=True, slots=True)
class Outage:
    """From call number ``first`` on the provider is away for so long; ``refused``: nobody listens, else all is 503."""

    first: int
    seconds: float
    refused: bool = True


@dataclass(frozen=True, slots=True)
class Script:
    """What the provider does. Everything is drawn by the seed, the prompt's digest and the number of the attempt at it.

    So a run that goes on after a kill meets the same faults on its first attempts, and a prompt that is refused, or too
    long, is so whenever it comes. ``latency_seconds`` is the median, a tenth of it where the model is not even asked;
    ``spread`` the sigma of a log-normal distribution around it, 0 where every call takes the same. ``cached`` is the
    share of prompts half of whose tokens count as read before.
    """

    seed: int = 0
    latency_seconds: float = 0.0
    spread: float = 0.0
    shares: Mapping[Fault, float] = field(default_factory=dict)
    turns: tuple[Fault, ...] = ()
    outages: tuple[Outage, ...] = ()
    cached: float = 0.0

    def choose(self, digest: str, attempt: int, number: int = 0) -> Fault | None:
        """The fault of a call: by its number, from 1, in ``turns``, else by the shares; None where it is answered."""
        if 0 < number <= len(self.turns):
            return self.turns[number - 1]
        first, fault = self._pick(digest, 1), self._pick(digest, attempt)
        if first in OF_PROMPT:
            return first
        return None if fault in OF_PROMPT else fault

    def choose_seconds(self, digest: str, attempt: int, fault: Fault | None = None) -> float:
        median = self.latency_seconds * (AT_ONCE_SHARE if fault in AT_ONCE else 1.0)
        share = min(max(self.draw("seconds", digest, attempt), 1e-6), 1 - 1e-6)
        return median * math.exp(self.spread * NormalDist().inv_cdf(share)) if self.spread else median

    def draw(self, what: str, digest: str, attempt: int = 0) -> float:
        """A number in [0, 1) that belongs to an attempt at a prompt."""
        key = f"{self.seed}/{what}/{digest}/{attempt}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest(), "big") / 2**48

    def _pick(self, digest: str, attempt: int) -> Fault | None:
        left = self.draw("fault", digest, attempt)
        for fault, share in self.shares.items():
            if left < share:
                return fault
            left -= share
        return None
