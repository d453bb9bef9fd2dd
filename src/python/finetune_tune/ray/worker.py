"""A worker: an actor that holds the base, the data and lanes over them."""

from __future__ import annotations

import os
from typing import Any

from finetune_tune.errors import Error


class Worker:
    """Its calls come from the study, in order, one at a time."""

    def __init__(self, directory: str, file: str, config: str, rows: dict[str, bytes]) -> None:
        self._fault = ""
        try:
            self._open(directory, file, config, rows)
        except (Error, OSError) as fault:
            self._fault = str(fault)  # an actor that raises here tells its caller little

    def _open(self, directory: str, file: str, config: str, rows: dict[str, bytes]) -> None:
        from finetune_tune import _core

        if not os.path.isdir(directory):
            raise Error(f"{directory} is the study's folder and is not on {os.uname().nodename}; workers read model and data from a path that all share")
        os.chdir(directory)  # relative paths are the study's
        self._host = _core.LaneHost(file, config, rows)

    def facts(self) -> tuple[str, str, str]:
        """What has to be the same for all workers, the node's name, and why it cannot work ("": it can)."""
        return ("" if self._fault else self._host.facts()), os.uname().nodename, self._fault

    def room(self, tokens_per_pass: int, wanted: int) -> int:
        """Slots that a lane more can have, of those wanted."""
        return self._host.room(tokens_per_pass, wanted)

    def begin(self, tokens_per_pass: int, slots: int) -> int:
        """An empty lane; its number."""
        return self._host.begin(tokens_per_pass, slots)

    def serve(self, lane: int, request: str, image: bytes | None) -> tuple[Any, bytes | None]:
        reply, made = self._host.serve(lane, request, image or b"")
        return (reply, made is not None), made
