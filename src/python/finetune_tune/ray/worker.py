"""A worker: an actor that holds the base, the data and lanes over them."""

from __future__ import annotations

import os
from typing import Any


class Worker:
    """Its calls come from the study, in order, one at a time."""

    def __init__(self, directory: str, file: str, config: str, rows: dict[str, bytes]) -> None:
        from finetune_tune import _core

        if not os.path.isdir(directory):
            raise FileNotFoundError(f"{directory} is the study's folder and is not on {os.uname().nodename}; workers read model and data from a path that all share")
        os.chdir(directory)  # relative paths are the study's
        self._host = _core.LaneHost(file, config, rows)

    def facts(self) -> tuple[str, str]:
        """What has to be the same for all workers, and the node's name."""
        return self._host.facts(), os.uname().nodename

    def begin(self, tokens_per_pass: int, slots: int) -> int:
        """An empty lane; its number."""
        return self._host.begin(tokens_per_pass, slots)

    def serve(self, lane: int, request: str, image: bytes | None) -> tuple[Any, bytes | None]:
        reply, made = self._host.serve(lane, request, image or b"")
        return (reply, made is not None), made
