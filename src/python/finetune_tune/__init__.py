"""Fine-tune a transformer language model and tune its hyperparameters in the same process.

tune, train, resume, check and generate are the verbs of the program finetune_tune; Tuner is its tuner alone.
"""

from .errors import Error, Interrupted
from .results import Check, Completion, Plot, Run, Study, Trial
from .runs import check, generate, load, resume, train, tune
from .tuner import Suggestion, Tuner

__all__ = [
    "Check",
    "Completion",
    "Error",
    "Interrupted",
    "Plot",
    "Run",
    "Study",
    "Suggestion",
    "Trial",
    "Tuner",
    "check",
    "generate",
    "load",
    "resume",
    "train",
    "tune",
]


def __getattr__(name: str):
    if name == "ray":  # only where it is asked for: Ray takes seconds to import
        import importlib

        return importlib.import_module(".ray", __name__)
    if name == "__version__":
        from . import _core

        return _core.version
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
