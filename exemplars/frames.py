"""Functions for programs that work with texts and data frames: samples, labels, tests, scores, mistakes."""

import io
from collections.abc import Iterable
from functools import partial
from typing import get_args

import pandas as pd
import pyarrow as pa

from engine.authoring.labelled_texts import Addition, add_labelled
from engine.authoring.suggestions import suggest_texts
from engine.authoring.validation import Validation, validate_models
from engine.definitions.labelled_file import LabelledFile, read_labelled
from engine.definitions.loader import has_model, load_model, load_outline
from engine.domain.definition import Trait
from engine.domain.model import Pool, check_handle
from engine.domain.samples import SAMPLE_SCHEMA, make_own_row
from engine.errors import InputError
from engine.settings import Settings, read_settings
from engine.store.index.rows import read_whole_sets
from engine.store.store import list_sets
from engine.text.embedding import SentenceEncoder
from flows.authoring.suites import check_suites
from flows.evaluation.real_texts import RealTest, evaluate_samples
from flows.evaluation.scoring import load_scoring_set, place_on_axes

FRAME = "frame"


def load_samples(handle: str, pool: Pool = "train", *, authored: bool = False) -> pd.DataFrame:
    """Return the samples that runs have attached to a model, from all its sets, in the order of creation.

    Args:
        pool: ``train``, or ``eval`` for samples that ``enrich`` has set aside and that are not for training.
        authored: whether to put the author's samples, which are not rows of the store, first. They have the provenance
            ``authored``, and nulls in the columns that only a run fills.

    Returns:
        A row for each sample, with the columns of the store (docs/reference/store.md); no rows if there are none.

    Raises:
        HandleError: the handle is malformed; an UnknownModelError if neither catalogue nor store has the model.
        InputError: there is no such pool, or authored samples are requested from ``eval``.
        DefinitionError: a setting is wrong; with ``authored`` also the model's files.
        StoreError: the store cannot be read.
    """
    if pool not in get_args(Pool):
        raise InputError(f"{pool!r} is not a pool. The pools are: {' and '.join(get_args(Pool))}")
    if authored and pool == "eval":
        raise InputError("authored samples are for training, and samples of eval are not. Load them separately")
    settings = read_settings()
    sets = list_sets(settings.samples_uri, check_handle(handle), pool)
    if not sets and not has_model(settings.models_uri, handle):
        # Raises an error that suggests models with a similar handle.
        load_outline(settings.models_uri, handle)
    seeds = load_model(settings.models_uri, handle).seeds if authored else ()
    authored_rows = [make_own_row(handle, seed) | {"pole": seed.pole} for seed in seeds]
    tables = [pa.Table.from_pylist(authored_rows, schema=SAMPLE_SCHEMA), read_whole_sets(sets)]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def suggest(handle: str, count: int = 40) -> pd.DataFrame:
    """Suggest which texts of a model's sources of the type ``texts`` to label, as ``exemplars suggest`` does.

    Args:
        count: the number of texts for all traits together, at most 1,000.

    Returns:
        A row for each text: ``id``, ``text``, and for each trait an empty column of its key and ``<key>_suggested``
        with a pole's label if the trait's axis is sure. Filled in, it is a frame for ``add_samples``.

    Raises:
        InputError: there is no such model, its files have mistakes, or it has no text without a label.
        StoreError: the catalogue cannot be read.
    """
    return suggest_texts(load_model(read_settings().models_uri, handle), count, SentenceEncoder())


def add_samples(handle: str, frame: pd.DataFrame, *, dry_run: bool = False) -> Addition:
    """Add the labels of a frame to a model's authored samples, as ``exemplars add`` does with a file: all or none.

    Args:
        frame: the text in ``content`` or ``text``, and a column for each trait with a pole's label, a word such as good
            or poor, or a number from 0 to 1. Rows without a label are skipped.
        dry_run: write nothing, and return what would be added.

    Raises:
        DefinitionError: rows are wrong (``frame:3`` is the third), or a text has another label already.
        InputError: there is no such model, it is not a draft, or the frame has no labels.
        StoreError: a file cannot be read or written; then nothing was added.
    """
    settings = read_settings()
    labelled = _read_frame(settings, handle, frame)
    return add_labelled(settings.models_uri, handle, labelled, dry_run)


# Not a pytest test, in spite of its name.
def test(handle: str, frame: pd.DataFrame, trait: str | None = None) -> RealTest:  # noqa: PT028
    """Evaluate a model's attached samples on labelled texts, as ``exemplars test --real`` does.

    Args:
        frame: as for ``add_samples``.
        trait: the key or the name of one trait, with labels in its column, ``quality`` or ``label``; None for all.

    Raises:
        InputError: there is no such model, it has no samples, or the texts cannot be used.
        StoreError: the samples cannot be read.
    """
    settings = read_settings()
    scoring = load_scoring_set(settings, handle, trait)
    return evaluate_samples(scoring, _read_frame(settings, handle, frame, scoring.only))


def score(handle: str, texts: str | Iterable[str], trait: str | None = None) -> pd.DataFrame:
    """Grade texts by a model's attached samples, as ``exemplars score`` does.

    Args:
        texts: one text or several, such as a column of a frame.
        trait: as for ``test``.

    Returns:
        A row for each text and trait: ``text``, ``trait``, ``score`` (0 is the middle between the poles), ``leans_to``
        (a pole), ``grade`` and ``confidence``; the last two are missing if there are too few samples.

    Raises:
        InputError, StoreError: as for ``test``.
    """
    text_list = [texts] if isinstance(texts, str) else list(texts)
    if not text_list or not all(isinstance(text, str) for text in text_list):
        raise InputError("there is nothing to score, or a value that is not a text. Give only texts")
    placed = place_on_axes(load_scoring_set(read_settings(), handle, trait), text_list)
    rows = [
        (text, key, item.score, item.side, *((item.grade.band, item.grade.confidence) if item.grade else (None, None)))
        for key, placements in placed.items()
        for text, item in zip(text_list, placements, strict=True)
    ]
    return pd.DataFrame(rows, columns=["text", "trait", "score", "leans_to", "grade", "confidence"])


def validate(handle: str, *, hints: bool = True) -> Validation:
    """Check a model's files, as ``exemplars validate`` does: every mistake with its line, then hints.

    Args:
        hints: also report findings that are not mistakes but worth knowing.

    Raises:
        InputError: a setting is wrong. StoreError: the catalogue cannot be read.
    """
    settings, encoder = read_settings(), SentenceEncoder()
    [validation] = validate_models(settings.models_uri, [handle], partial(check_suites, settings), hints, encoder)
    return validation


def _read_frame(settings: Settings, handle: str, frame: pd.DataFrame, only: Trait | None = None) -> LabelledFile:
    if not isinstance(frame, pd.DataFrame) or frame.empty or not frame.columns.is_unique:
        raise InputError("labelled texts must be a pandas data frame with rows, and with each column once")
    outline = load_outline(settings.models_uri, handle)
    lines = frame.to_json(orient="records", lines=True, double_precision=15, default_handler=str).encode()
    return read_labelled(FRAME, io.BytesIO(lines), outline, only)
