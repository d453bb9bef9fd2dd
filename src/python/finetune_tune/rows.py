"""Training data that a program holds: lists of dicts, pandas, datasets. They reach the library as JSON lines in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import Error

_SOURCE_KEYS = {"path", "weight", "name"}


def paths_of(value: Any, split: str, taken: dict[str, bytes]) -> Any:
    """What data.<split> becomes: paths as they are, rows as the path of a text that is put into `taken`."""
    key = f"data.{split}"
    if value is None or isinstance(value, (str, os.PathLike)):
        return value
    if is_rows(value):
        return _take(value, key, split, taken)
    if isinstance(value, Mapping):
        return [_source(value, key, split, taken)]
    if not isinstance(value, (list, tuple)):
        raise Error(f"{key} is of type {type(value).__name__}; a path, rows (dicts, a DataFrame, a Dataset), or a list of such can be given")
    if not value:
        raise Error(f"{key} is an empty list; give rows, or leave it out")
    return [_entry(one, key, split, taken) for one in value]


def is_rows(value: Any) -> bool:
    """Tables, and lists that begin with a dict which is no entry of data.train ({path, weight, name})."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # pandas
        return True
    if hasattr(value, "column_names"):  # datasets
        return True
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return False
    if not isinstance(value, (list, tuple)):
        return True  # a generator
    return bool(value) and isinstance(value[0], Mapping) and not _is_source(value[0])


def _is_source(value: Any) -> bool:
    return isinstance(value, Mapping) and "path" in value and set(value) <= _SOURCE_KEYS


def _source(value: Mapping[str, Any], key: str, split: str, taken: dict[str, bytes]) -> Any:
    if not _is_source(value):
        known = ", ".join(sorted(str(one) for one in value))
        raise Error(f"{key} is a dict of {known}; a path, rows, or {{path, weight, name}} can be given")
    path = value["path"]
    return {**value, "path": _take(path, key, split, taken) if is_rows(path) else path}


def _entry(value: Any, key: str, split: str, taken: dict[str, bytes]) -> Any:
    if isinstance(value, Mapping):
        return _source(value, key, split, taken)
    return _take(value, key, split, taken) if is_rows(value) else value


def _take(table: Any, key: str, split: str, taken: dict[str, bytes]) -> str:
    columns = getattr(table, "column_names", None)
    if isinstance(columns, Mapping):  # datasets.DatasetDict
        raise Error(f"{key} is a DatasetDict of {', '.join(columns)}; give one of its splits")
    number = sum(path.startswith(f"memory:{split}") for path in taken)
    path = f"memory:{split}{f'-{number + 1}' if number else ''}.jsonl"
    taken[path] = json_lines(_dicts(table), key)
    return path


def records(table: Any, key: str) -> Iterable[Any]:
    """The rows of a table, or the items of a list."""
    if isinstance(table, (bytes, bytearray)) or not isinstance(table, Iterable):
        raise Error(f"{key} is of type {type(table).__name__}; texts, dicts, or a table of these can be given")
    return _dicts(table)


def _dicts(table: Any) -> Iterable[Any]:
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        whole = table.astype(object).where(table.notna(), None)
        return whole.to_dict(orient="records")
    return table


def json_lines(table: Iterable[Any], key: str) -> bytes:
    """A line a row. Raises Error naming the row that is none."""
    lines = []
    for number, row in enumerate(table, 1):
        if not isinstance(row, Mapping):
            raise Error(f"{key}: row {number} is of type {type(row).__name__}, not a dict of columns")
        try:
            lines.append(_line(row))
        except (TypeError, ValueError, RecursionError) as fault:
            raise Error(f"{key}: row {number} cannot be written as JSON: {fault}") from None
    lines.append("")
    return "\n".join(lines).encode("utf-8", errors="surrogatepass")


def _line(row: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(row), ensure_ascii=False, allow_nan=False, default=_as_json)
    except ValueError:  # nan is what pandas puts where there is nothing
        filled = {name: None if isinstance(value, float) and value != value else value for name, value in row.items()}
        return json.dumps(filled, ensure_ascii=False, allow_nan=False, default=_as_json)


def _as_json(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"a value is of type {type(value).__name__}")
