"""What a line is about is said where a step begins, and never leaks into what runs beside it."""

import asyncio

from engine.system.log_context import add_log_context, log_context, read_log_context


def test_fields_add_up_inside_and_what_is_noted_lasts_until_its_block_ends() -> None:
    with log_context(run_id="1", trait="clarity"):
        with log_context(trait="safety", cell="7"):
            add_log_context(effort="low")
            inside = dict(read_log_context())
        after = dict(read_log_context())

    assert {"run_id": "1", "trait": "safety", "cell": "7", "effort": "low"} == inside
    assert ({"run_id": "1", "trait": "clarity"}, {}) == (after, read_log_context())


async def test_runs_in_one_event_loop_do_not_see_one_another() -> None:
    async def run(name: str) -> list[object]:
        seen: list[object] = []
        with log_context(run_id=name):
            add_log_context(effort=name)
            for cell in range(20):
                with log_context(cell=cell):
                    await asyncio.sleep(0)
                    seen.append(dict(read_log_context()))
        return seen

    names = [str(number) for number in range(10)]
    expected = [[{"run_id": name, "effort": name, "cell": cell} for cell in range(20)] for name in names]
    assert expected == await asyncio.gather(*map(run, names))
    assert {} == read_log_context()
