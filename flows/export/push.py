"""The work of ``exemplars push``: shows how far it is, and says what came of it."""

import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass

from rich.text import Text

from engine.domain.model import check_handle
from engine.errors import InputError, RunInterruptedError
from engine.export.attached import find_attached
from engine.export.platform import Platform, find_base
from engine.export.push import PushCounts, push_samples
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.cli.console import make_console, make_live


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of a push: ``sent`` of the samples are new there, ``present`` were there before."""

    handle: str
    to: str
    runs: int
    sent: int
    present: int
    left_out: int


def push_model(settings: Settings, handle: str, to: str, pool: str = "train", run_id: str | None = None) -> Pushed:
    """Pushes the attached samples of a model, or of one run, to the platform at an address.

    Raises:
        HandleError, DefinitionError: the model is unknown here, or its definition has mistakes.
        InputError: the pool, the run, the address or the key's setting is wrong, nothing is attached, or the platform
            has no such draft or does not take a sample.
        ModelBusyError, PlatformError: the platform failed, refuses the key, or was waited for in vain.
        StoreError: the store cannot be read.
        RunInterruptedError: it was interrupted.
    """
    check_handle(handle)
    if pool != "train":
        raise InputError(
            "What is pushed become training samples of a model, and samples of the pool eval are kept apart from "
            "those. Leave --pool out"
        )
    url = find_base(to)
    if settings.platform_key is None:
        raise InputError(
            f"EXEMPLARS_PLATFORM_KEY is not set: {url} asks for a key of the scope authoring that owns "
            f"{handle.partition('.')[0]}"
        )
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    samples = find_attached(models_uri, samples_uri, handle, ["train"], run_id)
    counts, console = PushCounts(), make_console(stderr=True)

    def draw() -> Text:
        done = counts.sent + counts.present + counts.left_out
        return Text(
            f"{done:,} of {samples.count():,} samples, {counts.sent:,} sent to {url}"
            if done
            else f"Reading what {url} has"
        )

    platform = Platform(
        url,
        handle,
        settings.platform_key.get_secret_value(),
        settings.call_timeout_seconds,
        settings.patience_seconds,
        lambda text: console.print(Text(text, style="yellow"), soft_wrap=True),
    )
    live = make_live(console, draw) if console.is_terminal else nullcontext()
    try:
        with live, platform:
            push_samples(samples, platform, counts)
    except KeyboardInterrupt:
        raise RunInterruptedError(
            f"interrupted: {count_noun(counts.sent, 'sample')} sent. The same command goes on from there"
        ) from None
    return Pushed(handle, url, len(samples.sets), counts.sent, counts.present, counts.left_out)


def show_pushed(pushed: Pushed, as_json: bool = False) -> None:
    """Prints what came of it."""
    if as_json:
        print(json.dumps(asdict(pushed)))
        return
    there = f"; {pushed.present:,} were there already" if pushed.present else ""
    sent = f"{pushed.sent:,} {'sample' if pushed.sent == 1 else 'samples'}"
    print(f"Pushed {sent} of {count_noun(pushed.runs, 'run')} of {pushed.handle} to {pushed.to}{there}")
    if pushed.left_out:
        print(f"Left out: {count_noun(pushed.left_out, 'sample')} of traits that the model no longer has.")
