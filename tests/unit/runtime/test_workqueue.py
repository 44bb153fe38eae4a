"""The queue's promises: each key once, one taker at a time, delays and backoff by the caller's clock."""

import pytest

from capim.runtime.workqueue import WorkQueue


def test_keys_come_in_the_order_they_were_added_and_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("b", "a", "b"):
        queue.add(key)
    assert [queue.take(0.0) for _ in range(3)] == ["b", "a", None]


def test_a_key_that_is_out_comes_again_only_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.take(0.0) == "a"
    queue.add("a")
    assert queue.take(0.0) is None
    queue.done("a")
    assert queue.take(0.0) == "a"


def test_done_without_another_add_leaves_nothing() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.take(0.0)
    queue.done("a")
    assert queue.take(0.0) is None
    assert len(queue) == 0


def test_a_delayed_key_comes_at_its_time_and_the_earliest_delay_wins() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_at("a", 20.0)
    queue.add_at("a", 10.0)
    queue.add_at("a", 30.0)
    assert queue.next_due() == 10.0
    assert queue.take(9.9) is None
    assert queue.take(10.0) == "a"
    queue.done("a")
    assert queue.next_due() is None
    assert queue.take(40.0) is None


def test_a_plan_takes_the_place_of_the_one_before() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.plan("a", 10.0)
    queue.plan("a", 20.0)
    assert queue.next_due() == 20.0
    queue.plan("a", None)
    assert queue.next_due() is None
    assert queue.take(40.0) is None


def test_delayed_keys_come_in_the_order_of_their_times() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key, when in (("late", 3.0), ("soon", 1.0), ("middle", 2.0)):
        queue.add_at(key, when)
    assert [queue.take(5.0) for _ in range(3)] == ["soon", "middle", "late"]


def test_backoff_doubles_up_to_its_limit_and_forget_starts_anew() -> None:
    queue: WorkQueue[str] = WorkQueue()
    delays = [queue.retry("a", 0.0) for _ in range(30)]
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[-1] == 1000.0
    queue.forget("a")
    assert queue.retry("a", 0.0) == 0.005


def test_backoff_survives_any_number_of_failures() -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert [queue.retry("a", 0.0) for _ in range(2000)][-1] == 1000.0


@pytest.mark.parametrize("delayed_first", [False, True])
def test_an_immediate_and_a_delayed_add_both_count(delayed_first: bool) -> None:
    queue: WorkQueue[str] = WorkQueue()
    if delayed_first:
        queue.add_at("a", 5.0)
    queue.add("a")
    if not delayed_first:
        queue.add_at("a", 5.0)
    assert queue.take(0.0) == "a"
    queue.done("a")
    assert queue.take(5.0) == "a"
