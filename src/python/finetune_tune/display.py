"""What is shown while a run goes on: the program's lines, and how far it is."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter, whose process holds more than one run."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def put_on_stderr(text: str) -> None:
    """Nobody who watches, or who stopped watching, is no reason to end a study."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # None, a closed pipe, a closed file
        pass


def put_of(progress: bool) -> Callable[[str], None] | None:
    return put_on_stderr if progress else None


@contextmanager
def callbacks(on_step: Any, progress: bool) -> Iterator[Any]:
    """The library's Callbacks. With tqdm in a terminal or notebook a bar, else the program's own display."""
    from . import _core

    if on_step is not None and not callable(on_step):
        raise TypeError(f"on_step is of type {type(on_step).__name__}; a function of the reports can be given")
    terminal = _is_terminal()
    bar = _make_bar() if progress and (terminal or in_notebook()) else None
    try:
        yield _core.Callbacks(
            on_step=on_step,
            put=bar.put if bar else put_of(progress),
            bar=bar.show if bar else None,
            terminal=terminal and bar is None,
            notebook=in_notebook(),
            signals=threading.current_thread() is threading.main_thread(),
        )
    finally:
        if bar:
            bar.close()


def _is_terminal() -> bool:
    """One that knows its size: tqdm shows nothing where there are no rows."""
    try:
        return sys.stderr.isatty() and min(os.get_terminal_size(sys.stderr.fileno())) > 0
    except (AttributeError, OSError, ValueError):
        return False


class _Bar:
    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None

    def put(self, text: str) -> None:
        self._tqdm.write(text, file=sys.stderr, end="")

    def show(self, share: float, status: str) -> None:
        if self._bar is None:
            self._bar = self._tqdm(total=100, bar_format="{percentage:3.0f} % |{bar:24}| {desc}", leave=False)
        self._bar.n = round(100 * share, 1)
        self._bar.set_description_str(status, refresh=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _make_bar() -> _Bar | None:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return _Bar(tqdm)
