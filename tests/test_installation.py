"""netgen starts with only what it needs, and installs into an empty environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


HEAVY = {"caffe", "numpy", "matplotlib", "cv2", "lmdb", "rich", "scipy", "skimage", "data_prep"}
LOADED = """
import sys
from netgen.commands.cli import main
main(sys.argv[1:], standalone_mode=False)
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (("build", "--variant", "xs"), HEAVY),
        (("build", "--all", "--out", "all"), HEAVY),
        (("--help",), {*HEAVY, "jinja2"}),
    ],
)
def test_netgen_loads_only_what_it_needs(
    arguments: tuple[str, ...], unneeded: set[str], tmp_path: Path
) -> None:
    # Caffe is even in the way here: importing it would end the program.
    (tmp_path / "caffe.py").write_text("raise SystemExit('Caffe was imported')")
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    loaded = set(result.stderr.splitlines()[-1].split())
    assert "netgen" in loaded
    assert loaded & unneeded == set()


NO_INDEX = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "timed out",
)


def not_of_the_package(folder: str, names: list[str]) -> set[str]:
    """What a copy of the repository does without: what was generated, and what is not installed."""
    generated = {"__pycache__", "caffe_pb2.py", "caffe_pb2.pyi"} & set(names)
    if Path(folder) != ROOT:
        return generated
    installed = {"netgen", "data_prep", "templates", "experiments"}
    return {name for name in names if (ROOT / name).is_dir() and name not in installed}


def test_pip_install_into_an_empty_environment_gives_a_working_generator(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=not_of_the_package)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=check
        )

    run(sys.executable, "-m", "venv", "env")
    pip = ["env/bin/python", "-m", "pip", "--disable-pip-version-check", "--retries", "1"]
    installed = run(*pip, "install", "--quiet", "./source", check=False)
    if any(sign in installed.stderr for sign in NO_INDEX):
        pytest.skip("no package index can be reached, so nothing can be installed from it")
    assert installed.returncode == 0, installed.stderr
    assert run("env/bin/python", "-c", "import caffe", check=False).returncode != 0

    shutil.rmtree(source)  # the templates and the studies have to be in the package
    assert "study.toml" in run("env/bin/netgen", "table", "--help").stdout
    assert "# done: " not in run("env/bin/netgen", "table", "--dry-run", "--only", "xs").stdout
    run("env/bin/netgen", "build", "--all", "--out", "out")
    run("env/bin/netgen", "build", "--variant", "xs")
    assert (tmp_path / "models/xs/train_val.prototxt").read_bytes() == (
        ROOT / "models/xs/train_val.prototxt"
    ).read_bytes()
    version = run("env/bin/netgen", "--version").stdout
    assert version.startswith("netgen, version ")
    assert run("env/bin/python", "-m", "netgen", "--version").stdout == version
