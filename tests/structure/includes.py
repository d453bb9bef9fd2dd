#!/usr/bin/env python3
"""Which folder may include which: DESIGN.md's layers as a table. Prints every include that breaks it; exit code 1 then.

    includes.py ROOT
"""

import re
import sys
from pathlib import Path

# A folder may include itself and what is named here; the longest folder that holds a file decides. What is absent may include
# nothing of ours, and a new folder wants a row.
ALLOWED = {
    "src/core": [],
    "src/config": ["src/core"],
    "tuners": ["src/core"],
    "data": ["data/jinja", "data/tokenizers", "src/core"],
    "data/jinja": ["src/core"],
    "data/tokenizers": ["src/core"],
    "kernels/api": ["src/core"],
    "kernels/ref": ["kernels/api", "src/core"],
    "kernels/cpu": ["kernels/api", "src/core"],
    "kernels/cuda": ["kernels/api", "src/core"],
    "kernels/none": ["kernels/api"],
    "kernels/torch": ["kernels/api", "src/core"],
    "models": ["kernels/api", "kernels/torch", "models/families", "src/core"],
    "models/families": ["models", "src/core"],
    "src/engine": ["data", "kernels/api", "kernels/torch", "models", "src/config", "src/core", "tuners"],
    "src/report": ["src/core", "src/report/importance"],
    "src/report/importance": ["src/core"],
    "src/study": ["models", "src/core", "src/engine", "src/report", "tuners"],  # models: the header of safetensors files
    "src/remote": ["src/config", "src/core", "src/engine", "src/study"],
    "src/host": ["data", "models", "src/config", "src/core", "src/engine", "src/report", "src/study", "tuners"],
    "src/cli": ["data", "data/tokenizers", "models", "models/families", "src/config", "src/core", "src/engine", "src/host",
                "src/report", "src/study", "tuners"],
    "src/python": ["src/cli", "src/config", "src/core", "src/engine", "src/host", "src/remote",
                   "src/report", "src/study", "tuners"],
    "src/examples": ["src/core", "src/host"],
    "src": ["src/cli", "src/core", "src/engine"],  # main.cpp: which errors mean that memory is over
}
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def folder_of(path: str) -> str | None:
    """The row of the table that a file belongs to."""
    return max((f for f in ALLOWED if path.startswith(f + "/")), key=len, default=None)


def find(root: Path, source: str, named: str) -> str | None:
    """The file that an #include names: from the root, from src, or beside the source."""
    for candidate in (named, f"src/{named}", f"{source.rsplit('/', 1)[0]}/{named}"):
        if (root / candidate).is_file():
            return candidate
    return None


def complaints(root: Path):
    for top in ("src", "tuners", "data", "kernels", "models"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in {".h", ".cpp", ".inc", ".cu", ".cuh"}:
                continue
            source = path.relative_to(root).as_posix()
            folder = folder_of(source)
            if folder is None:
                yield f"{source}: its folder has no row in tests/structure/includes.py"
                continue
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = find(root, source, match[1])
                if target is None:
                    yield f"{source}:{number}: {match[1]} is not in the tree; what is outside stands in <>"
                elif folder_of(target) not in (folder, *ALLOWED[folder]):
                    yield f"{source}:{number}: {folder} may not include {folder_of(target)} ({match[1]})"


if __name__ == "__main__":
    found = list(complaints(Path(sys.argv[1])))
    print("\n".join(found) or "every include points down")
    sys.exit(1 if found else 0)
