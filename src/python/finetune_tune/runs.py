"""tune, train, resume, check, generate: the program's verbs as functions.

`| Any` beside an argument's type: keys come as **{"train.steps": 5}, and what such a dict holds a type checker takes for a
possible value of every argument.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .configuration import Configuration, resolve
from .display import callbacks
from .errors import Error, Interrupted
from .rows import records
from .results import Check, Completion, Run, Study, run_from, study_from

OnStep = Callable[[Any], Iterable[Mapping[str, Any]] | None]


def tune(
    config: Configuration = None,
    /,
    *,
    on_step: OnStep | None | Any = None,
    progress: bool | Any = True,
    overwrite: bool | Any = False,
    **keys: Any,
) -> Study:
    """Searches hyperparameters: many LoRA trials side by side over one frozen base, the losers stopped between steps.

    Configuration: nested dicts or dotted keys, as in the program's YAML file. `config` is such a dict, or the path of a YAML
    file; `keys` win over it. Needed are model.path, data.train and run.out:

        study = tune(model="models/SmolLM2-135M-Instruct", data={"train": rows}, run={"out": "runs/first"},
                     **{"tune.trials": 16, "train.steps": 100})

    data.train, data.valid and data.test are paths, lists of dicts, pandas DataFrames or datasets.Dataset; rows are read where
    they are, so a run of them goes on with resume(out, data={...}) here, not with the program.

    on_step(reports) is called after every round, on this thread, with the reports of all trials that stepped (attributes id,
    step, value, train_loss, gradient_norm, tokens), and may return actions: [{"id": 3, "do": "stop", "reason": "..."}]; do is
    stop, pause, resume, change (with params) or copy (with from and params). What it raises ends the study after the round,
    with a report of what there is, and is raised here.

    progress: what happens, on stderr; a bar where tqdm is installed. overwrite: what is in run.out goes first.

    LibTorch's number of threads and its deterministic mode are set while it runs and put back afterwards. The GIL is free.

    Raises Error with the program's own line; Interrupted (a KeyboardInterrupt) after Ctrl-C, whose `result` is the study.
    """
    from . import _core

    given = resolve(config, keys)
    with callbacks(on_step, progress) as ends:
        ended = _core.tune(given.file, given.json, given.rows, overwrite, ends)
    return finished(ended)


def train(
    config: Configuration = None,
    /,
    *,
    on_step: OnStep | None | Any = None,
    progress: bool | Any = True,
    overwrite: bool | Any = False,
    **keys: Any,
) -> Run:
    """Trains one configuration; arguments as for tune. Leaves the weights in run.out."""
    from . import _core

    given = resolve(config, keys)
    with callbacks(on_step, progress) as ends:
        ended = _core.train(given.file, given.json, given.rows, overwrite, ends)
    return finished(ended)


def resume(
    out: str | os.PathLike,
    /,
    *,
    data: Mapping[str, Any] | None = None,
    elsewhere: bool = False,
    on_step: OnStep | None = None,
    progress: bool = True,
) -> Study | Run:
    """Goes on with a run of tune or train that was interrupted or killed, from its last save, as if nothing had happened.

    data: the rows that it was begun with, where they were no files: {"train": rows}. on_step: the one that it had.
    elsewhere: also on another kind of processor, where the last bits may differ.
    """
    from . import _core

    rows = rows_of(data)
    with callbacks(on_step, progress) as ends:
        ended = _core.resume(os.fspath(out), rows, elsewhere, ends)
    if not ended.verb:
        raise Error(f"{os.fspath(out)}: is complete; there is nothing to go on with")
    return finished(ended)


def load(out: str | os.PathLike, /) -> Study:
    """The study that a finished run of tune left in its folder."""
    from . import _core

    return study_from(_core.report(os.fspath(out)), os.fspath(out))


def check(config: Configuration = None, /, *, progress: bool | Any = True, **keys: Any) -> Check:
    """Reads everything, trains nothing: what would be trained on, bad lines, memory, time. Arguments as for tune; run.out is
    not needed. Raises Error for the first bad line, after all have been listed on stderr."""
    from . import _core

    given = resolve(config, keys)
    with callbacks(None, progress) as ends:
        text, found = _core.check(given.file, given.json, given.rows, ends)
    return Check(text, json.loads(found))


def generate(
    prompts: str | Sequence[Any],
    config: Configuration = None,
    /,
    *,
    max_new_tokens: int | Any = 128,
    stop: str | Sequence[str] | Any = (),
    chat: bool | Any = False,
    progress: bool | Any = True,
    **keys: Any,
) -> list[Completion]:
    """Continues prompts, greedily. A prompt is a text, or a dict that data of training may have ({"messages": [...]}).

    model.path, and model.adapter for an adapter; chat: a text is a user's message, in the checkpoint's chat template; stop: a
    text ends where one of these begins. max_new_tokens: of each text. Ctrl-C ends it with the next token and raises
    Interrupted, whose `result` has the texts that were done.

        generate("Who are you?", model={"path": "models/SmolLM2-135M-Instruct", "adapter": study.adapter}, chat=True)
    """
    from . import _core

    single = [prompts] if isinstance(prompts, (str, Mapping)) else list(records(prompts, "prompts"))
    if not single:
        raise Error("prompts is empty; a text, a dict, or a list of these can be given")
    for one in single:
        if not isinstance(one, (str, Mapping)):
            raise Error(f"prompts holds a {type(one).__name__}; texts and dicts can be given")
    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int) or not 1 <= max_new_tokens <= 1 << 20:
        raise Error(f"max_new_tokens is {max_new_tokens}; a whole number from 1 to {1 << 20} is possible")
    table = [one if isinstance(one, Mapping) else {"prompt": one} for one in single]
    given = resolve(config, {**keys, "data.valid": table})
    stops = [stop] if isinstance(stop, str) else list(stop)
    if not all(isinstance(one, str) and one for one in stops):
        raise Error(f"stop is {stop!r}; texts that are not empty can be given")
    with callbacks(None, progress) as ends:
        lines, interrupted = _core.generate(given.file, given.json, given.rows, chat, max_new_tokens, stops, ends)
    made = [_completion(json.loads(line)) for line in lines]
    done = [one for one in made if one is not None]
    if interrupted:
        raise Interrupted(f"interrupted: {len(done)} of {len(made)} texts are done", made)
    return done


def _completion(made: dict[str, Any] | None) -> Completion | None:
    return Completion(made["prompt"], made["completion"], made["tokens"], made["ended"]) if made else None


def rows_of(data: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Of resume's `data`: rows by split, and nothing else."""
    given = dict(data or {}) if data is None or isinstance(data, Mapping) else {"": data}
    for key, value in given.items():
        if key not in ("train", "valid", "test") or isinstance(value, (str, os.PathLike)):
            raise Error("data holds the rows that the run was begun with: {\"train\": rows, \"valid\": rows, \"test\": rows}, those that were no files")
    return resolve(None, {"data": given}).rows


def finished(ended: Any, resume: str = "finetune_tune.resume({folder!r})") -> Any:
    """A run that the library has ended, as what the functions return or raise."""
    if ended.verb == "tune":
        result: Any = study_from(ended.json, ended.folder)
    else:
        result = run_from(ended.json, ended.folder, ended.interrupted)
    if ended.interrupted:
        raise Interrupted(f"interrupted; it goes on with {resume.format(folder=ended.folder)}", result)
    return result
