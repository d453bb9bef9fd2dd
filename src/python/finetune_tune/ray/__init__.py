"""Studies over several processes and machines, on Ray.

tune(..., num_workers=N) plays a study here whose trials are computed by N workers, resume goes on with one; Trainable is one trial for Ray Tune's own
schedulers. Needs ray (pip install ray).
"""

from .study import resume, tune
from .trainable import Trainable

__all__ = ["Trainable", "resume", "tune"]
