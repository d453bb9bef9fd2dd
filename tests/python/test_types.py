"""What a type checker says of the package as README and the examples use it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import finetune_tune

ROOT = Path(__file__).parents[2]
MISUSED = """
import finetune_tune

finetune_tune.tune(3)
finetune_tune.load()
finetune_tune.resume("out", elsewhere="yes")
"""


@pytest.fixture(scope="session")
def mypy():
    for python in [sys.executable, *filter(None, os.environ.get("FINETUNE_PYTHONS", "").split(":"))]:
        if subprocess.run([python, "-c", "import mypy"], capture_output=True).returncode == 0:
            return python
    pytest.skip("no Python has mypy (FINETUNE_PYTHONS names some)")


@pytest.fixture
def check(mypy, tmp_path):
    def run(*files):
        packages = Path(finetune_tune.__file__).parents[1]
        environment = {**os.environ, "MYPYPATH": "" if "site-packages" in str(packages) else str(packages), "PYTHONPATH": ""}
        words = [mypy, "-m", "mypy", "--python-executable", sys.executable, "--ignore-missing-imports", "--cache-dir", tmp_path / "cache"]
        return subprocess.run([*map(str, words), *map(str, files)], capture_output=True, text=True, env=environment)

    return run


def readme_code():
    """The indented lines of README's section on Python, from the import on."""
    section = (ROOT / "README.md").read_text().split("## From Python")[1].split("###")[0]
    lines = section.splitlines()
    begin = lines.index("    import finetune_tune")
    end = next(number for number, line in enumerate(lines) if number > begin and line and not line.startswith("    "))
    return "\n".join(line[4:] for line in lines[begin:end])


def test_the_examples_pass(check):
    checked = check(*sorted((ROOT / "src" / "examples").glob("*.py")))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_readme_passes(check, tmp_path):
    code = "from pathlib import Path\n\nrows: list[dict[str, str]] = []\nmodel = Path('model')\n" + readme_code()
    code += "\nfinetune_tune.tune('run.yaml', **{'train.steps': 50})\nfinetune_tune.train({}, **{'train.steps': 50})\n"
    code += "finetune_tune.check(**{'train.steps': 50})\nfinetune_tune.generate('a', model=model, **{'run.threads': 1})\n"
    code += "finetune_tune.Tuner(search={}, **{'tune.trials': 5})\nfinetune_tune.resume(study.out, data={'train': rows})\n"
    (tmp_path / "readme.py").write_text(code)
    checked = check(tmp_path / "readme.py")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "tune.trials" in code


def test_what_cannot_be_is_found(check, tmp_path):
    (tmp_path / "misused.py").write_text(MISUSED)
    said = check(tmp_path / "misused.py").stdout
    assert [line.split(":")[1] for line in said.splitlines() if "misused.py" in line] == ["4", "5", "6"], said
