"""What a line is about is said where a step begins, and never leaks into what runs beside it."""

import asyncio
import threading
from contextvars import copy_context

from engine.system.log_context import add_log_context, log_context, read_log_context


def test_fields_add_up_inside_and_are_gone_afterwards() -> None:
    with log_context(run_id="1", trait="clarity"), log_context(trait="safety", cell="7"):
        inside = dict(read_log_context())

    assert {"run_id": "1", "trait": "safety", "cell": "7"} == inside
    assert {} == read_log_context()


def test_what_is_noted_lasts_until_its_block_ends() -> None:
    with log_context(run_id="1"):
        add_log_context(effort="low")
        inside = dict(read_log_context())

    assert {"run_id": "1", "effort": "low"} == inside
    assert {} == read_log_context()


async def test_runs_in_one_event_loop_do_not_see_one_another() -> None:
    async def run(name: str) -> list[object]:
        seen: list[object] = []
        with log_context(run_id=name):
            add_log_context(effort=name)
            for cell in range(20):
                with log_context(cell=cell):
                    await asyncio.sleep(0)
                    seen.append(
                        (read_log_context()["run_id"], read_log_context()["effort"], read_log_context()["cell"])
                    )
        return seen

    names = [str(number) for number in range(10)]
    assert [[(name, name, cell) for cell in range(20)] for name in names] == await asyncio.gather(*map(run, names))
    assert {} == read_log_context()


async def test_a_task_keeps_what_it_began_with() -> None:
    with log_context(run_id="1"):
        task = asyncio.create_task(asyncio.to_thread(read_log_context))

    assert {"run_id": "1"} == dict(await task)


def test_a_thread_with_a_copy_of_the_context_is_about_the_same() -> None:
    seen: list[object] = []
    with log_context(run_id="1"):
        context = copy_context()
    thread = threading.Thread(target=context.run, args=(lambda: seen.append(dict(read_log_context())),))
    thread.start()
    thread.join()

    assert [{"run_id": "1"}] == seen
