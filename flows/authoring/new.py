"""Write a new model for ``exemplars new``, after five questions at a terminal."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine.authoring.answers import (
    EXAMPLE,
    SAMPLES_FILE,
    Answers,
    PoleAnswer,
    clean_answer,
    read_file,
    read_pole,
    read_trait,
)
from engine.authoring.new_model import check_new, write_new_model
from engine.errors import InputError, RunInterruptedError
from engine.settings import PROJECT_ROOT, SHIPPED_ROOT, Settings, locate_own

EXAMPLES_PER_POLE = 3
Read = TypeVar("Read")


def begin_model(settings: Settings, handle: str, blank: bool) -> None:
    """Write a new model into the catalogue; print the path of its ``model.yaml`` and the next steps.

    Args:
        blank: ask no questions, even at a terminal.

    Raises:
        InputError: the handle is malformed, the model exists, or the catalogue is an object store.
        RunInterruptedError: the questions were interrupted; nothing is written.
        StoreError: a file cannot be written.
    """
    uri = settings.get_written("models_uri")
    if "://" in uri:
        raise InputError(
            f"EXEMPLARS_MODELS_URI is {uri}, and a new model is written for you to edit: begin it in a folder of "
            f"this machine (EXEMPLARS_MODELS_URI=data/models exemplars new {handle}), and copy that to {uri} later"
        )
    models = Path(locate_own(uri))
    check_new(models, handle)
    is_interactive = not blank and sys.stdin.isatty() and sys.stdout.isatty()
    answers = _ask(handle) if is_interactive else EXAMPLE
    definition = write_new_model(models, handle, answers)
    print(definition)
    has_samples = definition.with_name(SAMPLES_FILE).stat().st_size
    lines = [
        f"Look at it{'' if has_samples else f', and put labelled texts into {SAMPLES_FILE} beside it'}. Then:",
        f"  exemplars validate {handle}",
        *([f"  exemplars suggest {handle} --to labels.csv"] if answers.unlabelled_texts else []),
        f"  exemplars plan {handle} --effort low",
        f"  exemplars try {handle}",
        f"  exemplars synthesize {handle} --effort low",
    ]
    if SHIPPED_ROOT != PROJECT_ROOT:
        lines.append(
            f"Models are read from {models} now; those that come with the code are in {SHIPPED_ROOT / 'data/models'}"
        )
    print("\n".join(lines), file=sys.stderr)


def _ask(handle: str) -> Answers:
    """Ask the five questions, or raise ``RunInterruptedError``; without a first answer, return the example."""
    # Imported for its effect: arrow keys, and corrections on the line.
    import readline  # noqa: F401

    print(
        f"{handle}: five questions, and its model.yaml is filled in. Enter alone at the first leaves an example in it."
    )
    try:
        print("1. What are the texts? (Replies to customers)")
        if not (texts := _put("   > ", str)):
            return EXAMPLE
        print("2. What is to be judged? A word or two; after a colon the question, and what does not count.")
        print("   (Warmth: does the reply treat the customer as a person?)")
        trait, question = _put("   > ", read_trait)
        question = question or _put("   As a question to ask of a text; Enter alone for none > ", str)
        print("3. The two ends, each in a word or two; after a colon what a text there does.")
        print("   (Those of warmth: Warm: thanks, and offers help. Cold: speaks in rules.)")
        positive = _put("   positive > ", read_pole)
        negative = _put("   negative > ", partial(read_pole, other=positive))
        print(f"4. {EXAMPLES_PER_POLE} texts for each end, one a line. Enter alone leaves one out.")
        print(f"   Six are better: the others go into {SAMPLES_FILE} afterwards.")
        answers = Answers(texts, trait, _ask_examples(positive), _ask_examples(negative), question)
        print("5. A file of such texts without labels: CSV, JSONL, Parquet, or a text a line. Enter alone for none.")
        if unlabelled_texts := _put("   > ", read_file):
            answers = replace(answers, unlabelled_texts=unlabelled_texts)
            if unlabelled_texts.suffix != ".txt":
                prompt = "   The column or field that has the text (text) > "
                answers = replace(answers, field=_put(prompt, str) or answers.field)
        return answers
    except (EOFError, KeyboardInterrupt):
        print()
        raise RunInterruptedError("broken off at a question. Nothing was written") from None


def _ask_examples(pole: PoleAnswer) -> PoleAnswer:
    texts = [_put(f"   {pole.label}, {number} > ", str) for number in range(1, EXAMPLES_PER_POLE + 1)]
    return replace(pole, examples=tuple(filter(None, texts)))


def _put(prompt: str, read: Callable[[str], Read]) -> Read:
    """Ask a question until its answer is valid; at the end of the input, raise ``EOFError``."""
    while True:
        try:
            return read(clean_answer(input(prompt)))
        except UnicodeError:
            print("   That has bytes that are no characters. Type it again")
        except ValueError as error:
            print(f"   {error}")
