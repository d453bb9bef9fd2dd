"""What goes wrong, as exceptions."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """One line that says what is wrong and where: what the program `finetune_tune` prints on stderr.

    kind: "bad_input" (what was given cannot be used: configuration, data, checkpoint, a callback's answer), "failed" (something
    broke while running) or "interrupted".
    """

    def __init__(self, message: str, kind: str = "bad_input") -> None:
        super().__init__(message)
        self.kind = kind


class LaneLost(Exception):
    """A worker of a study is gone; who holds its lane goes on elsewhere. Never seen outside."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. A run ended after the round under way, saved and with a report of what there was; texts with the next token.

    result: that report (Study) or run (Run), which `resume(result.out)` goes on with; of generate a list by prompt, with
    None for texts that were not done; None where nothing is left.
    """

    def __init__(self, message: str = "interrupted", result: Any = None) -> None:
        super().__init__(message)
        self.result = result
