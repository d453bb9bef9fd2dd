"""A configuration as Python writes it: nested dicts or dotted keys, rows in place of files. The library reads JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import rows
from .errors import Error

Configuration = Mapping[str, Any] | str | os.PathLike | None


@dataclass
class Resolved:
    """What the library is handed: a YAML file ("" = none), JSON on top of it, and rows by the path that stands for them."""

    file: str
    json: str
    rows: dict[str, bytes] = field(default_factory=dict)


def resolve(config: Configuration, keys: Mapping[str, Any]) -> Resolved:
    """`config`: a dict, or the path of a YAML file; `keys` win over it."""
    file = ""
    settings: dict[str, Any] = {}
    if isinstance(config, Mapping):
        settings = _with_sections(config)
    elif isinstance(config, (str, os.PathLike)):
        file = os.fspath(config)
    elif config is not None:
        raise Error(f"the configuration is of type {type(config).__name__}; a dict, or the path of a YAML file, can be given")
    settings = merged(settings, _with_sections(keys))
    taken: dict[str, bytes] = {}
    _take_model(settings)
    for split in ("train", "valid", "test"):
        _take_rows(settings, split, taken)
    try:
        text = json.dumps(plain(settings), ensure_ascii=False, allow_nan=False)
    except ValueError as fault:
        raise Error(f"the configuration holds a value that is no number: {fault}") from None
    return Resolved(file, text, taken)


def _with_sections(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`model` alone is its path."""
    result = dict(settings)
    if "model" in result and not isinstance(result["model"], Mapping):
        result["model"] = {"path": result["model"]}
    if "data" in result and not isinstance(result["data"], Mapping):
        raise Error(f"data is of type {type(result['data']).__name__}; a dict can be given: {{\"train\": rows, \"valid\": rows}}")
    return result


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of both; what `more` says wins."""
    result = dict(base)
    for key, value in more.items():
        old = result.pop(key, None)  # a later key stands behind: "train.steps" after "train" wins over it
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value
    return result


def plain(value: Any, where: str = "") -> Any:
    """The same in what JSON has: paths as text, numpy's scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(one, f"{where}.{key}".lstrip(".")) for key, one in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [plain(one, where) for one in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    raise Error(f"{where} is of type {type(value).__name__}; numbers, texts, lists and dicts can be given")


def _take_model(settings: dict[str, Any]) -> None:
    for place, key in _places(settings, "model", "path"):
        if not isinstance(place[key], (str, os.PathLike)):
            place[key] = folder_of(place[key])


def folder_of(model: Any) -> str:
    """Of a transformers model the folder that it was loaded from, whose files are read; what was changed since is not."""
    if hasattr(model, "peft_config"):
        raise Error("model.path is a PEFT model; give its base's folder as model.path and the adapter's as model.adapter")
    if not hasattr(model, "config") or not hasattr(model, "save_pretrained"):
        raise Error(f"model.path is of type {type(model).__name__}; a folder, or a transformers model that was loaded from one, can be given")
    name = getattr(getattr(model, "config", None), "_name_or_path", "") or getattr(model, "name_or_path", "")
    if not name:
        raise Error(f"model.path is of type {type(model).__name__}; a folder, or a transformers model that was loaded from one, can be given")
    if not os.path.isdir(name):
        raise Error(f"model.path: the model was loaded from {name}, which is no folder here; save_pretrained(FOLDER) makes one")
    return name


def _take_rows(settings: dict[str, Any], split: str, taken: dict[str, bytes]) -> None:
    for place, key in _places(settings, "data", split):
        place[key] = rows.paths_of(place[key], split, taken)


def _places(settings: dict[str, Any], section: str, key: str):
    """Where section.key is set: in the section's dict or as a dotted key. Sections are copied: they are the caller's."""
    if isinstance(settings.get(section), Mapping):
        settings[section] = dict(settings[section])
        if key in settings[section]:
            yield settings[section], key
    if f"{section}.{key}" in settings:
        yield settings, f"{section}.{key}"
