"""Which models a backfill is about, and which of them it passes over: without a server, by the files alone."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import pytest
from fakes.builders import make_stamp
from fakes.catalogue import NAMESPACE, make_catalogue, name_model, write_model
from fakes.stored import attach_set
from fakes.workspace import HANDLE

from engine.asking.plan import digest_definition
from engine.backfills.targets import BackfillRequest, count_older, find_skip_reason, list_selected
from engine.definitions.effort import load_level
from engine.definitions.loader import load_model
from engine.domain.verdict import SkipReason
from engine.errors import HandleError, InputError
from engine.settings import Settings
from engine.store.changes import detach_replaced
from engine.store.sample_set import SampleSet
from engine.store.store import locate_pool, write_set

FIRST, SECOND = name_model(0), name_model(1)
Status = Literal["attached", "rejected"]
LOW = BackfillRequest(namespace=NAMESPACE, effort="low")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    workspace = make_catalogue(tmp_path, None, 3)
    given = {name.removeprefix("EXEMPLARS_").lower(): value for name, value in workspace.variables.items()}
    return Settings(**given)  # type: ignore[arg-type]


def attach(settings: Settings, handle: str, run_id: str, status: Status = "attached") -> None:
    """Writes an empty set that notes the definition and the effort as they are now."""
    stamp = replace(make_stamp(), run_id=run_id, handle=handle)
    level = asdict(load_level(settings.effort_file, stamp.effort))
    inputs = {"definition": digest_definition(load_model(settings.models_uri, handle)), "level": level}
    made = SampleSet(stamp, "train", status, "p", [], [], {}, {}, inputs)
    write_set(settings.samples_uri, made)


@pytest.mark.parametrize(
    ("selection", "handles"),
    [
        (BackfillRequest(glob="*.shed-00[12]"), [name_model(1), name_model(2)]),
        (BackfillRequest((SECOND, FIRST, SECOND)), [SECOND, FIRST]),
        (BackfillRequest((SECOND,), glob="sheds.*-000"), [SECOND, FIRST]),
        (BackfillRequest(("sheds.unknown",)), ["sheds.unknown"]),
        (BackfillRequest(only_lacking=True), [name_model(0), name_model(1), name_model(2), HANDLE]),
    ],
)
def test_handles_namespace_and_glob_add_up(settings: Settings, selection: BackfillRequest, handles: list[str]) -> None:
    assert handles == list(list_selected(settings, selection))


def test_selection_of_nothing_is_refused(settings: Settings) -> None:
    with pytest.raises(InputError, match="give handles, a namespace or a glob"):
        list_selected(settings, BackfillRequest())
    with pytest.raises(InputError, match=r"namespace 'nobody' and glob 'x\.\*'"):
        list_selected(settings, BackfillRequest(namespace="nobody", glob="x.*"))
    with pytest.raises(HandleError):
        list_selected(settings, BackfillRequest(("../x",)))


def test_model_with_a_set_for_its_definition_synth_type_and_effort_is_passed_over(settings: Settings) -> None:
    attach(settings, FIRST, "run-1")
    attach(settings, SECOND, "run-2", "rejected")
    made = SkipReason("It has a set for its definition, this synth type and this effort", "run-1")
    asked: list[dict[str, object]] = [{"synth_type": "diversify"}, {"effort": None}, {"force": True}, {"per_pole": 3}]
    others = [replace(LOW, **other) for other in asked]  # type: ignore[arg-type]

    assert [made, None] == [find_skip_reason(settings, LOW, handle) for handle in (FIRST, SECOND)]
    assert [None] * 4 == [find_skip_reason(settings, request, FIRST) for request in others]
    # It was made by this backfill, before.
    assert made == find_skip_reason(settings, replace(LOW, force=True, done=frozenset({"run-1"})), FIRST)


def test_set_of_another_definition_does_not_count(settings: Settings) -> None:
    attach(settings, FIRST, "run-1")
    write_model(Path(settings.models_uri), 0, note="Another intent.")

    assert find_skip_reason(settings, LOW, FIRST) is None


def test_drafts_alone_are_filled_up_though_they_have_a_set(settings: Settings) -> None:
    attach(settings, SECOND, "run-1")
    (Path(settings.models_uri) / FIRST / "lifecycle.json").write_text('{"state": "ready"}')
    lacking = replace(LOW, only_lacking=True)

    assert SkipReason("It is no draft, so its samples are frozen") == find_skip_reason(settings, lacking, FIRST)
    assert find_skip_reason(settings, lacking, SECOND) is None


def test_set_of_another_definition_is_counted_and_made_anew_where_that_is_asked_for(settings: Settings) -> None:
    asked = replace(LOW, refresh=True, per_pole=1)
    attach(settings, FIRST, "run-1")
    attach(settings, SECOND, "run-2")
    before = count_older(settings, asked, FIRST)
    write_model(Path(settings.models_uri), 0, note="Another intent.")
    (Path(settings.models_uri) / SECOND / "lifecycle.json").write_text('{"state": "ready"}')

    assert [(0, 0), (1, 0), None] == [
        before,
        count_older(settings, asked, FIRST),
        count_older(settings, asked, "sheds.unknown"),
    ]
    assert find_skip_reason(settings, asked, FIRST) is None
    assert SkipReason("It is no draft, so its samples are frozen") == find_skip_reason(settings, asked, SECOND)
    assert set(list_selected(settings, BackfillRequest(refresh=True))) == {*map(name_model, range(3)), HANDLE}


def test_model_with_a_set_that_was_replaced_and_not_detached_is_not_passed_over(settings: Settings) -> None:
    asked = replace(LOW, refresh=True, per_pole=1)
    attach_set(settings.samples_uri, "run-1", 2, handle=FIRST)
    attach_set(settings.samples_uri, "run-2", 2, handle=FIRST, replaces=["run-1"])
    begun = find_skip_reason(settings, asked, FIRST)
    done = list(detach_replaced(locate_pool(settings.samples_uri, FIRST, "train")))
    ended = find_skip_reason(settings, asked, FIRST)

    assert (None, 1) == (begun, len(done))
    assert ended is not None
    assert ended.reason.endswith("for its definition as it is, and no others")
