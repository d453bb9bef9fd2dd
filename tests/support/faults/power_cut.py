#!/usr/bin/env python3
"""What a power cut leaves: replaces what is in a folder by what was durable, as the library in faults.cpp kept it.

    power_cut.py UNDER SHADOW

UNDER is the FAULTS_UNDER and SHADOW the FAULTS_SHADOW of the process that is gone. SHADOW is empty then: what is left is
durable for whoever comes next.
"""

import os
import shutil
import sys
from pathlib import Path


def empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def restore(shadow: Path, key: str, target: Path) -> None:
    listing = shadow / "folders" / key
    if not listing.exists():
        return  # its name was synced, nothing in it ever was
    for line in listing.read_text(errors="surrogateescape").splitlines():
        kind, inside, name, link = line.split("\t")
        if kind == "d":
            (target / name).mkdir()
            restore(shadow, inside, target / name)
        elif kind == "l":
            (target / name).symlink_to(link)
        elif (shadow / "files" / inside).exists():
            shutil.copyfile(shadow / "files" / inside, target / name)
        else:
            (target / name).touch()


def power_cut(under: Path, shadow: Path) -> None:
    generations = dict(line.split() for line in (shadow / "generations").read_text().splitlines())
    status = os.stat(under)
    inode = f"{status.st_dev}-{status.st_ino}"
    empty(under)
    restore(shadow, f"{inode}-{generations.get(inode, 0)}", under)
    empty(shadow)


if __name__ == "__main__":
    power_cut(Path(sys.argv[1]), Path(sys.argv[2]))
