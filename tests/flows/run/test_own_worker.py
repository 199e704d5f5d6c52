"""A command's run has a worker process of its own where one can be forked."""

import threading

import pytest

from flows.run.own_worker import OWN_WORKER, forking_worker


@pytest.mark.slow
def test_process_with_threads_does_all_itself() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with forking_worker():
        found = OWN_WORKER.get()
    over.set()
    thread.join()

    assert found is None
