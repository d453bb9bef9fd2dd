"""Studies over several processes and machines, on Ray.

tune(..., num_workers=N) plays a study here whose trials are computed by N workers, resume goes on with one; Trainable is one
trial for Ray Tune's own schedulers. Needs ray (pip install ray; for Trainable ray[tune]).
"""

from .study import resume, tune

__all__ = ["Trainable", "resume", "tune"]


def __getattr__(name: str):
    if name == "Trainable":  # only where it is asked for: it needs what ray[tune] brings
        from .trainable import Trainable

        return Trainable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
