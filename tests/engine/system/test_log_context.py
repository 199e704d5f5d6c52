"""What a line is about is said where a step begins, and never leaks into what runs beside it."""

from engine.system.log_context import add_log_context, log_context, read_log_context


def test_fields_add_up_inside_and_what_is_noted_lasts_until_its_block_ends() -> None:
    with log_context(run_id="1", trait="clarity"):
        with log_context(trait="safety", cell="7"):
            add_log_context(effort="low")
            inside = dict(read_log_context())
        after = dict(read_log_context())

    assert {"run_id": "1", "trait": "safety", "cell": "7", "effort": "low"} == inside
    assert ({"run_id": "1", "trait": "clarity"}, {}) == (after, read_log_context())
