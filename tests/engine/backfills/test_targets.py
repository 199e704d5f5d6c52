"""Which models a backfill is about, and which of them it passes over: without a server, by the files alone."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import pytest
from fakes.builders import make_stamp
from fakes.catalogue import NAMESPACE, make_catalogue, name_model, write_model
from fakes.stored import attach_set
from fakes.workspace import HANDLE
from pydantic import SecretStr

from engine.asking.plan import digest_definition, digest_definition_and_samples
from engine.backfills.targets import BackfillRequest, ModelStatus, examine, list_selected
from engine.definitions.effort import load_level
from engine.definitions.loader import load_model
from engine.domain.model import Pool, Seed, SynthType
from engine.domain.verdict import SkipReason
from engine.errors import HandleError, InputError
from engine.run.job import load_job
from engine.settings import Settings
from engine.store.added_samples import add_samples
from engine.store.changes import detach_replaced
from engine.store.sample_set import SampleSet
from engine.store.store import list_replaced, locate_pool, write_set

FIRST, SECOND = name_model(0), name_model(1)
Status = Literal["attached", "rejected"]
NONE_OLDER = SkipReason("It has no samples made for an older definition")
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
    model = load_model(settings.models_uri, handle)
    inputs = {"definition": digest_definition_and_samples(model), "meaning": digest_definition(model), "level": level}
    made = SampleSet(stamp, "train", status, "p", [], [], {}, {}, inputs)
    write_set(settings.samples_uri, made)


def find_skip_reason(settings: Settings, request: BackfillRequest, handle: str) -> SkipReason | None:
    return examine(settings, request, handle).skip_reason


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
    with pytest.raises(InputError, match="force has no effect with refresh"):
        list_selected(settings, BackfillRequest(force=True, refresh=True))
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

    assert SkipReason("It is not a draft, so its samples are frozen") == find_skip_reason(settings, lacking, FIRST)
    assert find_skip_reason(settings, lacking, SECOND) is None


@pytest.mark.parametrize(("synth_type", "pool"), [("from_traits", "train"), ("enrich", "eval")])
@pytest.mark.parametrize("per_pole", [1, 2])
def test_backfill_passes_over_the_models_for_which_a_run_would_ask_nothing(
    settings: Settings, synth_type: SynthType, pool: Pool, per_pole: int
) -> None:
    """Attached samples of the pool count; those that an author wrote or added do not."""
    settings = settings.model_copy(update={"synth_model": "openai/test", "synth_api_key": SecretStr("sk-test")})
    trait = load_model(settings.models_uri, FIRST).traits[0].key
    authored = [Seed(trait, text, quality) for quality in (0.0, 1.0) for text in (f"One {quality}.", f"Two {quality}.")]
    add_samples(settings.models_uri, settings.samples_uri, FIRST, authored)
    attach_set(settings.samples_uri, "run-1", 2, handle=SECOND, pool=pool)
    attach_set(settings.samples_uri, "run-2", 2, handle=name_model(2), pool="eval" if pool == "train" else "train")
    asked = replace(LOW, only_lacking=True, synth_type=synth_type, per_pole=per_pole)
    handles = [FIRST, SECOND, name_model(2)]
    passed_over = [handle for handle in handles if find_skip_reason(settings, asked, handle)]
    asking_nothing = [handle for handle in handles if load_job(settings, asked.ask_for(handle), dry=True).is_complete]

    assert passed_over == asking_nothing == ([SECOND] if per_pole == 1 else [])


def test_set_of_another_definition_is_counted_and_made_anew_where_that_is_asked_for(settings: Settings) -> None:
    asked = replace(LOW, refresh=True, per_pole=1)
    attach(settings, FIRST, "run-1")
    attach(settings, SECOND, "run-2")
    before = examine(settings, asked, FIRST)
    for number in range(2):
        write_model(Path(settings.models_uri), number, note="Another intent.")
    (Path(settings.models_uri) / SECOND / "lifecycle.json").write_text('{"state": "ready"}')
    plain = replace(asked, refresh=False)

    assert NONE_OLDER == before.skip_reason
    assert [ModelStatus(None, 1), ModelStatus()] == [
        examine(settings, asked, name) for name in (FIRST, "sheds.unknown")
    ]
    assert ModelStatus(SkipReason("It is not a draft, so its samples are frozen")) == examine(settings, asked, SECOND)
    # Nobody is told to make them anew.
    assert [1, 0] == [examine(settings, plain, name).older_sets for name in (FIRST, SECOND)]
    assert set(list_selected(settings, BackfillRequest(refresh=True))) == {*map(name_model, range(3)), HANDLE}


def test_model_with_a_set_that_was_replaced_and_not_detached_is_not_passed_over(settings: Settings) -> None:
    asked = replace(LOW, refresh=True, per_pole=1)
    attach_set(settings.samples_uri, "run-1", 2, handle=FIRST)
    attach_set(settings.samples_uri, "run-2", 2, handle=FIRST, replaces=["run-1"])
    begun = find_skip_reason(settings, asked, FIRST)
    done = list(detach_replaced(list_replaced(locate_pool(settings.samples_uri, FIRST, "train"))))
    ended = find_skip_reason(settings, asked, FIRST)

    assert (None, 1, NONE_OLDER) == (begun, len(done), ended)


def test_refresh_alone_fills_nothing_up_and_an_added_sample_makes_no_other_definition(settings: Settings) -> None:
    asked = replace(LOW, refresh=True)
    attach(settings, FIRST, "run-1")
    before = load_model(settings.models_uri, FIRST)
    add_samples(settings.models_uri, settings.samples_uri, FIRST, [Seed(before.traits[0].key, "Added.", 1.0)])
    after = load_model(settings.models_uri, FIRST)

    assert digest_definition_and_samples(before) != digest_definition_and_samples(after)
    assert ModelStatus(NONE_OLDER) == examine(settings, asked, FIRST)
    assert find_skip_reason(settings, replace(asked, only_lacking=True), FIRST) is None
