"""The study's ends of its lanes, and what stands in for a worker that is gone."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, OwnerDiedError, RayActorError, WorkerCrashedError

from ..errors import Error, LaneLost
from .worker import Worker

_SAY_EVERY = 30  # seconds
GONE = (RayActorError, WorkerCrashedError, ObjectLostError, OwnerDiedError)


class Facts(NamedTuple):
    """What workers compute with. The numbers of a trial must not depend on which of them has it."""

    device: str
    dtype: str
    kernels: list[str]
    tokens_per_pass: int


class Workers:
    """All of a study. Any thread."""

    def __init__(
        self,
        count: int,
        resources: dict[str, float],
        arguments: tuple[Any, ...],
        stand_in_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._make = ray.remote(max_restarts=0)(Worker).options(**resources).remote
        self._arguments = arguments
        self._stand_in_seconds = stand_in_seconds
        self._lock = threading.Lock()
        self._actors = [self._make(*arguments) for _ in range(count)]
        try:
            self.facts, self.nodes = self._agree(resources, say)
        except BaseException:
            self.end()
            raise
        self._slots = 0

    def _agree(self, resources: dict[str, float], say: Callable[[str], None]) -> tuple[Facts, list[str]]:
        asked = [actor.facts.remote() for actor in self._actors]
        while waited_for := ray.wait(asked, num_returns=len(asked), timeout=_SAY_EVERY)[1]:
            say(
                f"waiting for {len(waited_for)} of {len(asked)} workers with {resources} each; "
                f"free in the cluster: {ray.available_resources()}\n"
            )
        answers = ray.get(asked)
        for _, _, fault in answers:
            if fault:
                raise Error(fault)
        facts = [Facts(**json.loads(text)) for text, _, _ in answers]
        for one in facts[1:]:
            if (one.dtype, one.kernels) != (facts[0].dtype, facts[0].kernels):
                raise Error(
                    f"workers would compute in {facts[0].dtype} ({facts[0].device}) and in {one.dtype} ({one.device}); "
                    "set model.dtype and run.kernels, or take machines of one kind"
                )
        # One size for all: where a batch is cut is part of the numbers.
        return facts[0]._replace(tokens_per_pass=min(one.tokens_per_pass for one in facts)), [node for _, node, _ in answers]

    def begin(self, needed: int, wanted: int, ends: list[LaneEnd]) -> int:
        """A lane for each end; the slots that each of them has: those wanted, where all workers have the memory."""
        rooms = ray.get([actor.room.remote(self.facts.tokens_per_pass, wanted) for actor in self._actors])
        slots = self._slots = max(needed, min(rooms))
        numbers = ray.get([actor.begin.remote(self.facts.tokens_per_pass, slots) for actor in self._actors])
        for end, actor, number in zip(ends, self._actors, numbers):
            end.attach(actor, number)
        return slots

    def stand_in(self, lost: Any) -> tuple[Any, int]:
        """A worker and an empty lane of it: a new one where the cluster has room, else one that has lanes already."""
        with self._lock:
            self._actors = [actor for actor in self._actors if actor is not lost]
            fresh = self._make(*self._arguments)
            try:
                number = ray.get(fresh.begin.remote(self.facts.tokens_per_pass, self._slots), timeout=self._stand_in_seconds)
                self._actors.append(fresh)
                return fresh, number
            except (GetTimeoutError, *GONE):
                ray.kill(fresh)
            for actor in list(self._actors):
                try:
                    return actor, ray.get(actor.begin.remote(self.facts.tokens_per_pass, self._slots))
                except GONE:
                    self._actors.remove(actor)
            raise Error("all workers of the study are gone; what it saved goes on with finetune_tune.ray.resume(out, num_workers=...)", "failed")

    def end(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


class LaneEnd:
    """What the library sends and receives through (src/python/remote.h): requests to one lane, answers in order."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._actor: Any = None
        self._lane = 0
        self._asked: deque = deque()

    def attach(self, actor: Any, lane: int) -> None:
        self._actor, self._lane = actor, lane

    def send(self, request: str, place: Any) -> None:
        self._asked.append(self._actor.serve.options(num_returns=2).remote(self._lane, request, place))

    def receive(self) -> tuple[str, Any]:
        answer, image = self._asked.popleft()
        try:
            reply, has_image = ray.get(answer)
            # Kept by the study: what a worker keeps is gone with its node.
            return reply, ray.put(ray.get(image)) if has_image else None
        except GONE as fault:
            raise LaneLost(str(fault).strip().splitlines()[0]) from None

    def reopen(self) -> None:
        self._asked.clear()
        try:
            self.attach(*self._workers.stand_in(self._actor))
        except GONE as fault:
            raise LaneLost(str(fault).strip().splitlines()[0]) from None

    def keep(self, image: bytes) -> Any:
        return ray.put(image)

    def fetch(self, place: Any) -> bytes:
        return ray.get(place)
