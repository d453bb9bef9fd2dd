"""scikit-build-core, told where torch is: the extension is built against the wheel that is installed where it will run.

pip builds in an environment of its own, which sees nothing of the one it installs into but the interpreter. Where torch is
installed there (or where FINETUNE_DEPS names a folder with torch/), that is taken; else it becomes a requirement of the build.
"""

import os
import sysconfig
from pathlib import Path

from scikit_build_core import build as _build
from scikit_build_core.build import *  

_TORCH = "torch==2.11.*"


def _site_of_torch():
    """The folder that holds torch/, or None."""
    named = os.environ.get("FINETUNE_DEPS")
    places = [named] if named else [sysconfig.get_path("platlib"), sysconfig.get_path("purelib")]
    for place in places:
        if (Path(place) / "torch" / "include" / "ATen" / "ATen.h").is_file():
            return place
    if named:
        raise SystemExit(f"FINETUNE_DEPS is {named}, which holds no torch/include")
    try:  
        import importlib.util

        found = importlib.util.find_spec("torch")
    except ImportError:
        found = None
    return str(Path(found.origin).parent.parent) if found and found.origin else None


def get_requires_for_build_wheel(config_settings=None):
    needs = _build.get_requires_for_build_wheel(config_settings)
    return needs if _site_of_torch() else [*needs, _TORCH]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    site = _site_of_torch()
    if site is None:
        raise SystemExit("torch 2.11 is not installed here: pip install 'torch==2.11.*' (or leave --no-build-isolation out)")
    settings = {"cmake.define.FINETUNE_DEPS": site, **(config_settings or {})}
    return _build.build_wheel(wheel_directory, settings, metadata_directory)
