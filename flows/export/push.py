"""The work of ``exemplars push``: shows how far it is, and says what came of it."""

import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass

from rich.text import Text

from engine.domain.model import check_handle
from engine.errors import InputError, RunInterruptedError
from engine.export.attached import find_attached
from engine.export.lines import walk_bodies
from engine.export.platform import Platform, find_base
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.cli.console import make_console, make_live


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of a push: how many samples the platform has now, and those of traits that the model no longer has."""

    handle: str
    to: str
    runs: int
    sent: int
    left_out: int


def push_model(settings: Settings, handle: str, to: str, run_id: str | None = None) -> Pushed:
    """Pushes the attached samples of a model, or of one run, to the platform at an address.

    Raises:
        HandleError, DefinitionError: the model is unknown here, or its definition has mistakes.
        InputError: the run, the address or the key's setting is wrong, nothing is attached, or the platform
            has no such draft or does not take a sample.
        ModelBusyError, PlatformError: the platform failed, refuses the key, or was waited for in vain.
        StoreError: the store cannot be read.
        RunInterruptedError: it was interrupted.
    """
    check_handle(handle)
    url = find_base(to)
    if settings.platform_key is None:
        raise InputError(
            f"EXEMPLARS_PLATFORM_KEY is not set: {url} asks for a key of the scope authoring that owns "
            f"{handle.partition('.')[0]}"
        )
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    samples = find_attached(models_uri, samples_uri, handle, ["train"], run_id)
    count, sent, console = samples.count(), 0, make_console(stderr=True)
    platform = Platform(
        url,
        handle,
        settings.platform_key.get_secret_value(),
        settings.call_timeout_seconds,
        settings.patience_seconds,
        lambda text: console.print(Text(text, style="yellow"), soft_wrap=True),
    )
    live = make_live(console, lambda: Text(f"{sent:,} of {count:,} samples sent to {url}"))
    try:
        with live if console.is_terminal else nullcontext(), platform:
            for entries in walk_bodies(samples):
                platform.add_samples(entries)
                sent += len(entries)
    except KeyboardInterrupt:
        raise RunInterruptedError(
            f"interrupted: {count_noun(sent, 'sample')} sent. The same command sends them all; none comes twice"
        ) from None
    return Pushed(handle, url, len(samples.sets), sent, count - sent)


def show_pushed(pushed: Pushed, as_json: bool = False) -> None:
    """Prints what came of it."""
    if as_json:
        print(json.dumps(asdict(pushed)))
        return
    sent, runs = count_noun(pushed.sent, "sample"), count_noun(pushed.runs, "run")
    print(f"Pushed {sent} of {runs} of {pushed.handle} to {pushed.to}")
    if pushed.left_out:
        print(f"Left out: {count_noun(pushed.left_out, 'sample')} of traits that the model no longer has.")
