"""The pool of workers over a Ray whose workers die on demand; the real one: `cli/test_ray`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stepnav.core.errors import BackendError
from stepnav.run import on_ray
from stepnav.run.cluster import Cluster
from stepnav.run.on_ray import MAX_DEATHS, Feed, Job, _Pool


class Died(Exception):
    """What Ray raises for a worker that is gone."""


class FailedTask(Exception):
    """What Ray raises for an error of the work itself."""


class FakeWorker:
    """Does its items one at a time, each when it is asked for the next value."""

    def __init__(self, ray: FakeRay) -> None:
        self.ray, self.name, self.items = ray, "", list[int]()
        self.is_closed = False
        self.is_there = SimpleNamespace(remote=lambda: ("there", self))
        self.give = SimpleNamespace(remote=self._give)
        self.work = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._work))

    def _give(self, items: Sequence[int] | None) -> None:
        if items is None:
            self.is_closed = True
        else:
            self.items += items
            self.ray.most_held = max(self.ray.most_held, len(self.items))

    def _work(self, name: str) -> FakeWorker:
        self.name = name
        self.ray.done[name] = []
        return self

    def __next__(self) -> Any:
        if not self.items:
            raise StopIteration
        item = self.items.pop(0)
        if self.ray.deaths and self.ray.deaths[0] in (item, "any"):
            self.ray.deaths.pop(0)
            return Died("killed")
        self.ray.done[self.name].append(item)
        if item in self.ray.untold:
            self.ray.untold.remove(item)
            return Died("killed before it could tell")
        return item


class FakeRay:
    """As much of Ray as the pool uses."""

    def __init__(
        self, deaths: Sequence[object] = (), untold: Sequence[int] = (), room: int = 99
    ) -> None:
        self.room = room
        self.deaths, self.untold = list(deaths), set(untold)
        self.done: dict[str, list[int]] = {}
        self.most_held = 0
        self.exceptions = SimpleNamespace(RayError=Died, RayTaskError=FailedTask)

    def remote(self, _: object) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._worker))

    def _worker(self, *_: object) -> FakeWorker:
        return FakeWorker(self)

    def wait(self, refs: Sequence[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        there = [r for r in refs if isinstance(r, tuple)][: self.room - len(self.done)]
        return there + [
            r for r in refs if isinstance(r, FakeWorker) and (r.items or r.is_closed)
        ], []

    def get(self, value: Any) -> Any:
        if isinstance(value, Died):
            raise value
        return value


def run(ray: FakeRay, count: int, *, workers: int = 3, ahead: int = 8) -> list[int]:
    def settle(name: str) -> Iterator[int]:
        yield from ray.done.pop(name)

    job = Job(
        open=lambda name: pytest.fail("opened here"),
        keys=range(count),
        ready=lambda key: key,
        key_of=lambda value: value,
        settle=settle,
        ahead=ahead,
    )
    return list(_Pool(ray, Cluster("local", workers), job).run())


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_item_is_done_once(count: int, workers: int) -> None:
    ray = FakeRay()
    assert sorted(run(ray, count, workers=workers)) == list(range(count))
    assert ray.most_held <= min(8, -(-count // min(workers, count)))
    assert not ray.done, "every worker that began was settled"


def test_workers_that_the_cluster_has_no_room_for_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = FakeRay(room=1)
    assert sorted(run(ray, 24, workers=8)) == list(range(24))
    assert ray.most_held == 3, "the others may still start"
    monkeypatch.setattr(on_ray, "KEPT_S", -1.0)
    ray = FakeRay(room=1)
    assert sorted(run(ray, 24, workers=8)) == list(range(24))
    assert ray.most_held == 8


def test_what_a_dead_worker_held_goes_to_others() -> None:
    assert sorted(run(FakeRay(deaths=["any", 40, 41]), 100)) == list(range(100))


def test_what_a_worker_did_and_did_not_tell_is_told_and_not_done_again() -> None:
    assert sorted(run(FakeRay(untold=[3, 50]), 100)) == list(range(100))


def test_work_that_kills_every_worker_ends_the_run() -> None:
    with pytest.raises(BackendError, match="over the same work"):
        run(FakeRay(deaths=[9] * MAX_DEATHS), 20)


def test_a_feed_waits_for_the_first_item_and_then_says_when_there_is_none() -> None:
    feed = Feed()
    feed.put([1, 2])
    items = iter(feed)
    assert [next(items) for _ in range(4)] == [1, 2, None, None]
    feed.put([3])
    feed.put(None)
    assert list(items) == [3]
