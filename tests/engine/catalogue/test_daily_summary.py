"""The daily summary is sent even if nothing is wrong, covers one day, and names the models that need a person."""

from datetime import timedelta

from fakes.conditions import NOON, make_condition, make_run

from engine.catalogue.condition import ModelFinding
from engine.catalogue.daily_summary import TroubledRun, describe_day

HOUR = timedelta(hours=1)


def test_day_on_which_nothing_happened_is_facts() -> None:
    old = make_run(NOON - 25 * HOUR, NOON - 25 * HOUR, 16, 1.0)
    facts = describe_day([make_condition(runs=(old,))], [], NOON)

    assert (
        "Exemplars, 25 November: nothing attached in the last 24 hours. Every run completed. "
        "No model needs a person." == facts["text"]
    )
    assert (0, 0, None, [], []) == tuple(
        facts[name] for name in ("sets", "samples", "cost_usd", "troubled", "need_person")
    )


def test_message_says_what_was_made_what_it_cost_and_what_needs_a_person() -> None:
    # The last had cost what it did on the day that its proposal was written.
    runs = (
        make_run(NOON - HOUR, NOON - HOUR, 8, 1.0),
        make_run(NOON - HOUR, None, 0, 0.25),
        make_run(NOON - 100 * HOUR, NOON - HOUR, 8, 5.0),
    )
    broken = make_condition(handle="u22a8.broken", faults=(ModelFinding("broken", "It is damaged"),))
    troubled = [
        TroubledRun(f"run-{number}", f"u22a8.a{number}", "Failed", "The key\nis refused.") for number in range(7)
    ]
    facts = describe_day([make_condition(runs=runs), broken], troubled, NOON)

    assert "16 samples in 2 sets attached in the last 24 hours; the runs that left a set cost $1.25. " in facts["text"]
    assert "7 runs did not complete: u22a8.a0 is Failed (The key is refused); " in facts["text"]
    assert "u22a8.a4 is Failed (The key is refused); and 2 more. " in facts["text"]
    assert facts["text"].endswith("1 model needs a person: cannot be read (u22a8.broken).")
    many = [make_condition(handle=f"a.{number}", faults=broken.faults) for number in range(5)]
    grouped = describe_day([*many, make_condition(handle="b.c", older_samples=8)], [], NOON)["text"]
    assert grouped.endswith(
        "6 models need a person: cannot be read (a.0, a.1, a.2 and 2 more); older definition (b.c)."
    )
    assert [{"handle": "u22a8.broken", "found": "cannot be read"}] == facts["need_person"]
    assert (7, "run-6") == (len(facts["troubled"]), facts["troubled"][6]["run_id"])
