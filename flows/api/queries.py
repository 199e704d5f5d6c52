"""Queries: how a number in a query is written."""

import re

from pydantic import BeforeValidator


def check_digits(value: object) -> object:
    """A number is its digits: pydantic takes ``+1``, ``1.0`` and ``1_0`` for one, too.

    Raises:
        ValueError: a text that is none.
    """
    if isinstance(value, str) and not re.fullmatch("0|[1-9][0-9]{0,8}", value):
        raise ValueError("a whole number, in digits")
    return value


DIGITS = BeforeValidator(check_digits)
