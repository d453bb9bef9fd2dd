#!/usr/bin/env python3
"""Everything that changes a disk goes through src/core (DESIGN.md, Files): there a full disk is waited for, a name survives a
power cut, and no link is followed. Prints every other call that opens for writing, writes, syncs, renames or removes; exit
code 1 then. SQLite does its own, behind src/study/sqlite.cpp.

    writes.py ROOT
"""

import re
import sys
from pathlib import Path

LAYER = {f"src/core/{name}" for name in ("append_file.cpp", "file_lock.cpp", "files.cpp", "folders.cpp")}

# Files in which a call does not write to a disk, each with the call and the reason.
OTHERWISE = {
    ("src/cli/interrupt.cpp", "::write("): "to the terminal, in a signal handler",
    ("src/cli/last_words.cpp", "::write("): "to the terminal, where there may be no memory for more",
    ("src/cli/line_client.cpp", "::write("): "to stdout, as much as a pipe takes without waiting",
    ("src/core/program.cpp", "::write("): "to the parent, through a pipe",
}

SYSTEM_CALLS = ("creat write pwrite pwritev writev fsync fdatasync sync syncfs sync_file_range ftruncate truncate fallocate "
                "posix_fallocate rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat link linkat symlink symlinkat "
                "mkstemp mkostemp mkdtemp copy_file_range sendfile flock lockf chmod fchmod").split()
NAMESPACED = ("rename remove remove_all create_directory create_directories create_symlink create_directory_symlink "
              "create_hard_link resize_file copy copy_file copy_symlink permissions last_write_time").split()
PATTERNS = [re.compile(p) for p in (
    r"(?<![\w>.])::(?:%s)\(" % "|".join(SYSTEM_CALLS),
    r"(?<![\w:>.])(?:%s)\(" % "|".join(c for c in SYSTEM_CALLS if c not in {"write", "sync", "rename", "link", "truncate"}),
    r"\b(?:fs|filesystem)::(?:%s)\(" % "|".join(NAMESPACED),
    r"\bstd::(?:rename|remove|tmpfile)\(\"?[^)]*\.c_str",
    r"\b(?:ofstream|fstream|filebuf|fopen|fopen64|freopen|fdopen|tmpfile|posix_spawn_file_actions_addopen)\b",
    r"\b(?:open|open64|openat)\((?=[^;]*\bO_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE))",
    r"(?<![\w>.])::(?:open|open64|openat)\((?![^;]*\bO_RDONLY)",
    r"\btorch::save\(",
)]
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
INCLUDE = re.compile(r"^\s*#\s*include[^\n]*", re.M)


def code_of(text: str) -> str:
    """Without comments and includes, line by line as it was."""
    blank = lambda match: re.sub(r"[^\n]", " ", match[0])
    return INCLUDE.sub(blank, COMMENT.sub(blank, text))


def complaints(root: Path):
    for top in ("src", "tuners", "data", "kernels", "models"):
        for path in sorted((root / top).rglob("*")):
            source = path.relative_to(root).as_posix()
            if path.suffix not in {".h", ".cpp", ".inc", ".cu", ".cuh"} or source in LAYER:
                continue
            code = code_of(path.read_text(errors="replace"))
            for pattern in PATTERNS:
                for match in pattern.finditer(code):
                    if (source, match[0]) not in OTHERWISE:
                        line = code.count("\n", 0, match.start()) + 1
                        yield f"{source}:{line}: {match[0].strip('(')} writes past src/core (files.h, append_file.h, folders.h)"


if __name__ == "__main__":
    found = sorted(set(complaints(Path(sys.argv[1]))))
    print("\n".join(found) or "every write goes through src/core")
    sys.exit(1 if found else 0)
