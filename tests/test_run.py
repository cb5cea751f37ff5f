"""`./run`: its words, its set-up, and what it says where something lacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.paths import ROOT
from support.recipe import BUILD, VENV, bash, run, write_program

NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def pretend(tmp_path: Path) -> Path:
    """A folder to put before the PATH: here no package is installed, and nobody is root."""
    folder = tmp_path / "pretend"
    folder.mkdir()
    write_program(folder / "dpkg-query", "exit 1")
    write_program(folder / "id", "echo 1000")
    write_program(folder / "sudo", 'echo "sudo: a password is required" >&2; exit 1')
    return folder


def path_with(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.parametrize("words", [[], ["dmeo"], ["test", "-v"], ["test", "--bsy"]])
def test_run_shows_its_usage_when_it_does_not_understand(words: list[str]) -> None:
    result = run(ROOT / "run", *words)
    assert result.returncode == 2
    assert "usage: ./run COMMAND" in result.stderr
    assert result.stdout == ""


def test_run_help_names_its_words_and_its_variables() -> None:
    result = run(ROOT / "run", "help")
    assert result.returncode == 0
    for word in (
        "demo",
        "test",
        "setup",
        "docs",
        "engine-tests",
        "slurm",
        "NETGEN_CACHE",
        "CAFFE_SOURCE",
        "CAFFE_PORTABLE",
    ):
        assert word in result.stdout


def test_without_sudo_the_set_up_says_what_an_administrator_has_to_run(
    checkout: Path, pretend: Path
) -> None:
    result = run(checkout / "run", "setup", env=path_with(pretend))
    assert result.returncode == 1
    assert "neither root nor allowed to use sudo" in result.stderr
    assert "apt-get update && apt-get install --yes --no-install-recommends " in result.stderr
    assert "libboost-python-dev" in result.stderr
    assert not (checkout / ".venv").exists()


def test_without_a_network_the_set_up_names_the_packages_it_could_not_install(
    checkout: Path, pretend: Path
) -> None:
    write_program(pretend / "id", "echo 0")
    write_program(pretend / "apt-get", 'echo "E: Temporary failure resolving" >&2; exit 100')
    result = run(checkout / "run", "setup", env=path_with(pretend))
    assert result.returncode == 1
    assert "E: Temporary failure resolving" in result.stderr
    assert "apt-get could not install these packages" in result.stderr
    assert "Next: mend the network" in result.stderr


def test_without_sudo_the_queue_says_what_an_administrator_has_to_run(
    checkout: Path, pretend: Path
) -> None:
    script = ". ./run; set_up() { mkdir -p build; }; slurm"
    result = run("/bin/bash", "-c", script, cwd=checkout, env=path_with(pretend))
    assert result.returncode == 1
    wanted = "apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge"
    assert wanted in result.stderr


def test_packages_that_are_there_are_not_installed_again(checkout: Path, pretend: Path) -> None:
    write_program(pretend / "dpkg-query", '[[ "${!#}" == ninja-build ]] || echo installed')
    write_program(pretend / "id", "echo 0")
    write_program(pretend / "apt-get", f'echo "$@" >>{pretend}/asked')
    bash(". ./run; mkdir build; install_packages", cwd=checkout, env=path_with(pretend))
    update, install = (pretend / "asked").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends ninja-build")


def test_an_unknown_distribution_is_told_what_is_needed(checkout: Path, pretend: Path) -> None:
    script = ". ./run; distribution() { echo haiku-1; }; mkdir build; install_packages"
    result = run("/bin/bash", "-c", script, cwd=checkout, env=path_with(pretend))
    assert result.returncode == 1
    supported = "debian-12, debian-13, ubuntu-22.04, ubuntu-24.04"
    assert f"this is haiku-1; the set-up supports {supported}" in result.stderr
    assert "protobuf-compiler" in result.stderr


@pytest.mark.parametrize("state", ["half made", "moved here"])
def test_a_venv_that_is_not_whole_is_made_anew(checkout: Path, state: str) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/netgen").write_text("#!/elsewhere/.venv/bin/python")
    if state == "moved here":
        (checkout / ".venv/made-for").write_text("/elsewhere/.venv Python 3.11.2\n")
    said = bash(". ./run; mkdir build; make_venv; make_venv", cwd=checkout)
    assert said.count("making .venv") == 1  # the second time it is whole
    assert not (checkout / ".venv/bin/netgen").exists()
    assert (checkout / ".venv/bin/pip").exists()


def test_without_an_index_the_set_up_says_that_pip_failed(checkout: Path) -> None:
    script = ". ./run; mkdir build; make_venv; install_netgen"
    result = run("/bin/bash", "-c", script, cwd=checkout, env=NO_INDEX)
    assert result.returncode == 1
    assert "pip could not install netgen's Python packages" in result.stderr
    assert not (checkout / ".venv/installed").exists()


def test_without_an_index_the_recipe_says_how_to_build_without_one(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    env = NO_INDEX | {"NETGEN_CACHE": str(cache), "CAFFE_SOURCE": "pypi"}
    result = run(BUILD, VENV, env=env)
    assert result.returncode == 1
    assert "could not fetch Caffe's source" in result.stderr
    assert "CAFFE_SOURCE=<folder or tar file>" in result.stderr
    assert not list(cache.glob("sources/*"))
    assert not list(cache.glob("caffe-*[!a-z.]"))


def test_the_demo_shows_caffes_progress_and_errors_and_nothing_else() -> None:
    log = """\
I1122 16:00:00.000000 123 solver.cpp:228] Iteration 0, loss = 6.9
I1122 16:00:00.000000 123 solver.cpp:244]     Train net output #0: loss_item = 2.3 (* 1 = 2.3 loss)
I1122 16:00:00.000000 123 sgd_solver.cpp:106] Iteration 0, lr = 0.01
I1122 16:00:00.000000 123 solver.cpp:337] Iteration 100, Testing net (#0)
I1122 16:00:00.000000 123 solver.cpp:404]     Test net output #0: top1_item = 0.81
I1122 16:00:00.000000 123 solver.cpp:404]     Test net output #1: loss_item = 1 (* 1 = 1 loss)
I1122 16:00:00.000000 123 solver.cpp:218] Iteration 120 (9 iter/s, 2s/20 iters), loss = 0.4
F1122 16:00:00.000000 123 io.cpp:36] Check failed: fd != -1 (-1 vs. -1) File not found: a
"""
    shown = bash(f". ./run; show_training <<'LOG'\n{log}LOG", cwd=ROOT)
    assert shown.splitlines() == [
        "  Iteration 0, loss = 6.9",
        "  Iteration 100: test",
        "    top1_item = 0.81",
        "  Iteration 120 (9 iter/s, 2s/20 iters), loss = 0.4",
        "F1122 16:00:00.000000 123 io.cpp:36] Check failed: fd != -1 (-1 vs. -1) File not found: a",
    ]


@pytest.mark.parametrize(
    ("source", "run_on"), [("", "/built/debian /built/pypi"), ("/some/tree", "/built//some/tree")]
)
def test_the_engines_tests_are_run_for_both_sources_or_for_the_users(
    checkout: Path, source: str, run_on: str
) -> None:
    write_program(checkout / "docker/caffe/tests/build.sh", 'echo "/built/$CAFFE_SOURCE"')
    (checkout / ".venv/bin").mkdir(parents=True)
    write_program(checkout / ".venv/bin/python", 'echo "python $*"')
    said = bash(
        ". ./run; prepare() { :; }; engine_tests", cwd=checkout, env={"CAFFE_SOURCE": source}
    )
    assert said.splitlines()[-1] == f"python tests/engine_tests.py {run_on}"


# ---- torch, for tests ---------------------------------------------------------------------------

PROVIDE = """. ./run
mkdir -p build
[[ -d .venv ]] || "$PYTHON" -m venv --without-pip .venv
provide_torch"""


@pytest.fixture
def distribution(checkout: Path, pretend: Path) -> Path:
    """A distribution in which everything is installed; return where its modules are."""
    write_program(pretend / "dpkg-query", "echo installed")
    modules = checkout / "dist-packages"
    for name in ("torch", "torchvision", "numpy"):
        (modules / name).mkdir(parents=True)
    (modules / "torch/__init__.py").write_text("def load(weights_only): pass\nof = 'Debian'")
    (modules / "torchvision/__init__.py").touch()
    with (checkout / "docker/caffe/packages.sh").open("a") as file:
        file.write(f"DISTRIBUTION_MODULES={modules}\n")
    return modules


def provide(checkout: Path, pretend: Path) -> str:
    """What ./run test says when it provides torch; it goes on, whatever comes of that."""
    ended = run("/bin/bash", "-c", PROVIDE, cwd=checkout, env=path_with(pretend))
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def seen(checkout: Path, program: str) -> bool:
    """Whether .venv's Python runs a program that imports something."""
    return run(checkout / ".venv/bin/python", "-c", program).returncode == 0


def test_tests_see_the_distribution_s_torch_and_nothing_else_of_it(
    checkout: Path, pretend: Path, distribution: Path
) -> None:
    assert provide(checkout, pretend) == ""
    assert provide(checkout, pretend) == ""
    assert seen(checkout, "import torch, torchvision; assert torch.of == 'Debian'")
    assert not seen(checkout, "import numpy")


def test_a_torch_that_pip_installed_hides_the_distribution_s(
    checkout: Path, pretend: Path, distribution: Path
) -> None:
    provide(checkout, pretend)
    (site,) = (checkout / ".venv/lib").glob("python3*/site-packages")
    (site / "torch").mkdir()
    (site / "torch/__init__.py").write_text("of = 'pip'")
    assert seen(checkout, "import torch; assert torch.of == 'pip'")
    write_program(pretend / "dpkg-query", "exit 1")  # nor is it asked for
    assert provide(checkout, pretend) == ""
    assert seen(checkout, "import torch; assert torch.of == 'pip'")
    assert not seen(checkout, "import torchvision")


def test_without_sudo_the_tests_go_on_without_torch_and_say_what_brings_it(
    checkout: Path, pretend: Path
) -> None:
    said = provide(checkout, pretend)
    install = "apt-get install --yes --no-install-recommends python3-torch python3-torchvision"
    assert install in said
    assert "the tests that need torch will be skipped, for the reason above" in said
    assert not seen(checkout, "import torch")


@pytest.mark.parametrize("content", ["def load(file): pass", "raise ImportError('too new')"])
def test_a_torch_that_does_not_suit_is_not_seen(
    checkout: Path, pretend: Path, distribution: Path, content: str
) -> None:
    (distribution / "torch/__init__.py").write_text(content)
    assert "the tests that need torch will be skipped" in provide(checkout, pretend)
    assert not seen(checkout, "import torchvision")


@pytest.mark.parametrize(
    ("word", "provides"), [("run_checks", True), ("run_tests_busy", True), ("set_up", False)]
)
def test_only_the_tests_provide_torch_a_browser_the_sites_tools_and_a_software_gpu(
    checkout: Path, word: str, provides: bool
) -> None:
    script = f"""
    . ./run
    BUSY_PROCESSES=1
    prepare() {{ :; }}; install_caffe() {{ :; }}; check() {{ :; }}
    provide_torch() {{ echo torch; }}
    provide_browser() {{ echo browser; }}
    provide_site_tools() {{ echo site tools; }}
    build_for_tests() {{ echo software GPU; }}
    {word}"""
    said = bash(script, cwd=checkout).splitlines()
    for what in ("torch", "browser", "site tools", "software GPU"):
        assert said.count(what) == provides


def test_without_sudo_the_tests_go_on_without_a_browser_and_say_what_brings_it(
    checkout: Path, pretend: Path
) -> None:
    script = ". ./run; mkdir -p build; provide_browser"
    ended = run("/bin/bash", "-c", script, cwd=checkout, env=path_with(pretend))
    assert ended.returncode == 0
    assert "apt-get install --yes --no-install-recommends chromium\n" in ended.stderr
    assert "the tests that need a browser will be skipped, for the reason above" in ended.stderr


def test_shellcheck_finds_nothing() -> None:
    found = sorted(path for top in ("docker", "docs") for path in (ROOT / top).rglob("*.sh"))
    scripts = ["run", ".ci/run", BUILD, *map(str, found)]
    result = run("shellcheck", "--external-sources", *scripts)
    assert result.returncode == 0, result.stdout
