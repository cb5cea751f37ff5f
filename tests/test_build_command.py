"""`netgen build` and `netgen list` from outside: what they write, check, refuse and leave alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from caffe_child import in_caffe
from click.testing import CliRunner, Result
from helpers import ROOT, TRAINED, VARIANTS, dataset, make_databases

from netgen import paper
from netgen.caffe.schema import read_net, read_solver
from netgen.commands.cli import main
from netgen.network.dataset import write_dataset
from netgen.network.options import READINGS

NARROW = ("--width", "4", "--blocks", "1,1,1,2")
FILES = [
    "models/{}/deploy.prototxt",
    "models/{}/snapshots/.gitignore",
    "models/{}/train_val.prototxt",
    "solvers/{}.prototxt",
]


def files_of(variant: str) -> list[str]:
    """The files that a variant gives; of one that is not trained, deploy alone."""
    kept = FILES if variant in TRAINED else FILES[:1]
    return [name.format(variant) for name in kept]


def netgen(*arguments: object) -> Result:
    """Run netgen in this process."""
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, [str(word) for word in arguments])


def succeed(*arguments: object) -> Result:
    result = netgen(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(code: int, *arguments: object) -> str:
    """Run it, expecting a message and no traceback; return the message."""
    result = netgen(*arguments)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    message: str = result.stderr[result.stderr.index("Error: ") :].rstrip("\n")
    assert "\n" not in message
    return message


def program(
    *prefix: str | Path, arguments: tuple[object, ...], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run netgen as a process of its own, behind a `prefix` that restricts it."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "netgen.commands.cli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: files with their content, and folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def written(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if content is not None}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# ---- what is written ----------------------------------------------------------------------------


def test_a_variant_gives_two_networks_a_solver_and_a_folder_for_snapshots(tmp_path: Path) -> None:
    result = succeed("build", "--variant", "xs")
    assert sorted(written(tmp_path)) == [name.format("xs") for name in FILES]
    assert sorted(result.stdout.split()) == [
        "models/xs/deploy.prototxt",
        "models/xs/train_val.prototxt",
        "solvers/xs.prototxt",
    ]
    assert "caffe train -solver solvers/xs.prototxt -gpu 0" in result.stderr


def test_all_gives_every_variant_as_one_by_one(tmp_path: Path) -> None:
    succeed("build", "--all", "--out", "together")
    assert sorted(written(tmp_path / "together")) == sorted(
        name for variant in VARIANTS for name in files_of(variant)
    )
    for variant in VARIANTS:
        succeed("build", "--variant", variant, "--out", "together", "--check")


def test_the_committed_files_are_what_netgen_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = succeed("build", "--all", "--check")
    expected = sum(len(files_of(variant)) for variant in VARIANTS)
    assert result.stdout == f"{expected} files are up to date.\n"


def test_files_have_the_permissions_that_the_user_asks_for(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        succeed("build", "--variant", "x0")
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.prototxt")} == {0o640}


def test_snapshots_stay_out_of_git_and_their_folder_stays_in(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0")
    shutil.copy2(ROOT / ".gitignore", tmp_path)
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    Path(f"{solver.snapshot_prefix}_iter_1.caffemodel").write_bytes(b"")
    Path(f"{solver.snapshot_prefix}_iter_1.solverstate").write_bytes(b"")
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", "--all"], check=True)
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == [".gitignore", *(name.format("x0") for name in FILES)]


@pytest.mark.parametrize("variant", TRAINED)
def test_the_folder_that_a_committed_solver_names_is_there(variant: str) -> None:
    solver = read_solver(ROOT / f"solvers/{variant}.prototxt")
    assert (ROOT / solver.net).is_file()
    assert (ROOT / solver.snapshot_prefix).parent.is_dir()
    assert ((ROOT / solver.snapshot_prefix).parent / ".gitignore").is_file()


# ---- the solver ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", TRAINED)
def test_the_solver_says_what_section_5_2_says(variant: str) -> None:
    solver = read_solver(ROOT / f"solvers/{variant}.prototxt")
    assert (solver.type, solver.lr_policy) == ("SGD", "fixed")
    assert solver.momentum == pytest.approx(0.9)
    assert solver.weight_decay == pytest.approx(0.0001)
    assert solver.base_lr == pytest.approx(0.001)
    assert solver.net == f"models/{variant}/train_val.prototxt"
    assert solver.solver_mode == type(solver).GPU
    assert not solver.test_initialization
    assert solver.random_seed >= 0


def batch_in_test(folder: Path, variant: str) -> int:
    [images] = [
        layer
        for layer in read_net(folder / f"models/{variant}/train_val.prototxt").layer
        if layer.name == "data" and layer.include[0].phase == 1
    ]
    batch: int = images.data_param.batch_size
    return batch


@pytest.mark.parametrize("variant", TRAINED)
def test_a_test_covers_every_test_image_exactly_once(variant: str) -> None:
    solver = read_solver(ROOT / f"solvers/{variant}.prototxt")
    assert list(solver.test_iter) == [77_073 // batch_in_test(ROOT, variant)]
    assert solver.test_iter[0] * batch_in_test(ROOT, variant) == 77_073


@pytest.mark.parametrize(("gib", "batch"), [(12, 3), (16, 23), (80, 23)])
def test_the_test_batch_is_what_the_memory_allows(gib: int, batch: int, tmp_path: Path) -> None:
    succeed("build", "--variant", "xs", "--memory", gib)
    assert batch_in_test(tmp_path, "xs") == batch
    assert list(read_solver(tmp_path / "solvers/xs.prototxt").test_iter) == [77_073 // batch]


def test_a_network_that_does_not_fit_the_memory_is_refused(tmp_path: Path) -> None:
    message = refused(1, "build", "--variant", "xs", "--memory", 8)
    assert re.search(r"xs needs about 9\.\d GiB to train at batch 24", message)
    assert "lower --batch-size, or raise --memory" in message
    assert tree(tmp_path) == {}


def test_the_solver_runs_where_it_is_told_to(tmp_path: Path) -> None:
    result = succeed("build", "--variant", "x0", "--solver-mode", "cpu")
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    assert solver.solver_mode == type(solver).CPU
    assert result.stderr.endswith("caffe train -solver solvers/x0.prototxt\n")


def test_a_rate_drops_tenfold_where_asked_and_else_stays(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0", "--stepvalues", "900,1200")
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    assert (solver.lr_policy, list(solver.stepvalue)) == ("multistep", [900, 1200])
    assert solver.gamma == pytest.approx(0.1)
    succeed("build", "--variant", "x0")
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    assert (solver.lr_policy, list(solver.stepvalue)) == ("fixed", [])


@pytest.mark.parametrize("values", ["900,90", "90,90", "0,90", "", "90,", "1e3", "-5"])
def test_iterations_that_do_not_rise_are_refused(values: str) -> None:
    assert "is not an increasing list of iterations, such as 900,1200" in refused(
        2, "build", "--variant", "x0", "--stepvalues", values
    )


def test_images_are_not_flipped_where_they_should_not_be(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0", "--no-mirror")
    text = (tmp_path / "models/x0/train_val.prototxt").read_text()
    assert "mirror:" not in text
    assert "without the paper's random flips" in text


# ---- the header says how a file was made --------------------------------------------------------

# Every option of the recipe, away from its default.
RECIPE = {
    "batch-size": 6,
    "momentum": 0.5,
    "weight-decay": 0.25,
    "base-lr": 0.125,
    "memory": 1,
    "max-iter": 70,
    "test-interval": 7,
    "snapshot": 14,
    "display": 3,
    "random-seed": 4,
    "frozen-statistics": True,
    "moving-average": 0.75,
    "head-std": 0.0625,
    "head-lr-mult": 10,
    "mirror": False,
    "stepvalues": "900,1200",
}


def option(name: str, value: object) -> list[object]:
    """Return the words that set an option of the recipe."""
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", value]


CHANGES = [
    *(("--variant", "xs", *option(name, value))
      for name, value in RECIPE.items() if name != "memory"),
    ("--variant", "xs", "--memory", 30),
    ("--variant", "xs", "--solver-mode", "cpu"),
    ("--variant", "xs", "--width", 32),
    ("--variant", "xs", "--blocks", "1,2,3,2"),
    ("--variant", "xs", "--stem", "small", "--memory", 300),
    *(("--variant", "xs", "--reading", f"{name}={value.slug}", "--memory", 20)
      for name, option in READINGS.items() for value in option.values[1:]),
]  # fmt: skip


def test_the_options_below_are_all_there_are() -> None:
    assert set(RECIPE) == {field.name.replace("_", "-") for field in fields(paper.Recipe)}


def without_comments(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if not line.startswith(b"#")]


@pytest.mark.parametrize("options", CHANGES, ids=lambda options: " ".join(map(str, options[2:])))
def test_every_option_changes_the_files_and_is_recorded(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    succeed("build", "--variant", "xs", "--out", "out")
    ours = written(tmp_path)
    succeed("build", *options, "--out", "out")  # in the same place: solvers name their networks
    changed = written(tmp_path)
    assert any(without_comments(ours[name]) != without_comments(changed[name]) for name in ours)
    rebuild_from_headers(tmp_path / "out")


def rebuild_from_headers(folder: Path) -> None:
    """Take a folder's files away, run the command in the header of each; all must be as before."""
    before = written(folder)
    commands = {
        line.removeprefix("# Made by: ")
        for name, content in before.items()
        for line in content.decode().splitlines()
        if line.startswith("# Made by: ")
    }
    assert len(commands) == 1
    shutil.rmtree(folder)
    program_name, *words = shlex.split(commands.pop())
    assert program_name == "netgen"
    succeed(*words)
    assert written(folder) == before


def test_the_header_of_many_options_and_odd_paths_rebuilds_the_same_bytes(tmp_path: Path) -> None:
    make_dataset(tmp_path / ODD)
    recipe = [word for name, value in RECIPE.items() for word in option(name, value)]
    odd_dataset = f"{ODD}/dataset.toml"
    readings = ["--reading", "sharing=per-source", "--reading", "normalization=mean"]
    succeed(
        *("build", "--variant", "xs", "--dataset", odd_dataset, "--out", "out put"),
        *(*NARROW, "--stem", "small", "--solver-mode", "cpu", *readings, *recipe),
    )
    rebuild_from_headers(tmp_path / "out put")


def test_the_headers_command_runs_in_a_shell(tmp_path: Path) -> None:
    succeed("build", "--variant", "x1", "--out", "it's here", *NARROW)
    before = written(tmp_path)
    [command] = [
        line.removeprefix(b"# Made by: ").decode()
        for line in before["it's here/solvers/x1.prototxt"].splitlines()
        if line.startswith(b"# Made by: ")
    ]
    shutil.rmtree(tmp_path / "it's here")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(command, shell=True, env=os.environ | {"PATH": path}, check=True)
    assert written(tmp_path) == before


def test_a_header_names_network_dataset_and_paper() -> None:
    header = (ROOT / "models/xs/deploy.prototxt").read_text(encoding="utf-8").splitlines()[:3]
    assert header == [
        "# X_S-ResNet-50 (xs) for mtvso: noun 167, adj 117, anp 553.",
        '# Jou & Chang, "Deep Cross Residual Learning for Multitask Visual Recognition",'
        " ACM MM 2016.",
        "# Made by: netgen build --variant xs",
    ]


# ---- --check ------------------------------------------------------------------------------------


def test_check_is_silent_about_what_was_just_built(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0")
    before = tree(tmp_path)
    assert succeed("build", "--variant", "x0", "--check").stdout == "4 files are up to date.\n"
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("damage", "shown"),
    [
        (lambda file: file.write_text(file.read_text().replace("0.9", "0.8")), "-momentum: 0.8"),
        (lambda file: file.write_text(file.read_text() + "iter_size: 2\n"), "-iter_size: 2"),
        (Path.unlink, "+momentum: 0.9"),
        (lambda file: file.write_text(""), "+momentum: 0.9"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n")), "-momentum"),
    ],
    ids=["edited", "added to", "missing", "empty", "other ends of lines"],
)
def test_check_shows_a_stale_file_as_a_diff_and_leaves_it(
    damage: Any, shown: str, tmp_path: Path
) -> None:
    succeed("build", "--variant", "x0")
    damage(tmp_path / "solvers/x0.prototxt")
    before = tree(tmp_path)
    result = netgen("build", "--variant", "x0", "--check")
    assert result.exit_code == 1
    assert shown in result.stdout
    assert "1 of 4 files" in result.stderr
    assert "without --check" in result.stderr
    assert tree(tmp_path) == before


def test_check_tells_of_a_file_that_is_not_text(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0")
    (tmp_path / "solvers/x0.prototxt").write_bytes(b"\xff\xfe\x00")
    result = netgen("build", "--variant", "x0", "--check")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert "solvers/x0.prototxt" in result.output


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--variant x2", f"variant 'x2': choose from {', '.join(VARIANTS)} (`netgen list`)"),
        ("--variant XS", "unknown variant 'XS': choose from deepsentibank"),
        ("", "say --variant NAME (from `netgen list`) or --all"),
        ("--all --variant xs", "say --variant NAME (from `netgen list`) or --all"),
        ("--variant xs --blocks 3,4", "'3,4' is not four numbers of blocks, such as 3,4,6,3"),
        ("--variant xs --blocks 3,4,6,0", "'3,4,6,0' is not four numbers of blocks"),
        ("--variant xs --blocks 3,4,6,x", "'3,4,6,x' is not four numbers of blocks"),
        ("--variant xs --width 0", "0 is not in the range x>=1"),
        ("--variant xs --batch-size 2.5", "'2.5' is not a valid integer"),
        ("--variant xs --base-lr -1", "-1.0 is not in the range"),
        ("--variant xs --base-lr nan", "'nan' is not a number"),
        ("--variant xs --memory inf", "inf is not in the range"),
        ("--variant xs --moving-average 2", "2.0 is not in the range"),
        ("--variant xs --max-iter 99999999999", "99999999999 is not in the range"),
        ("--variant xs --random-seed 99999999999999999999", "is not in the range"),
        ("--variant xs --stem tiny", "'tiny' is not one of 'imagenet', 'small'"),
        ("--variant xs --solver-mode tpu", "'tpu' is not one of 'cpu', 'gpu'"),
        ("--variant xs --reading branch", "unknown value '' of branch: choose from after-res5a, "),
        ("--variant xs --reading branch=x", "unknown value 'x' of branch: choose from after-res5a"),
        ("--variant xs --reading x=y", "unknown reading 'x': choose from branch, moved-norm, shar"),
        ("--variant xs --optimizer adam", "No such option"),
        ("--variant xs extra", "unexpected extra argument (extra)"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_message_and_exit_code_2(
    arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in refused(2, "build", *arguments.split())
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--variant resnet50-adj --reading branch=after-res5a", "is a single-task network"),
        ("--variant xs --blocks 3,4,6,1", "the last stage has one block, which the tasks share"),
        ("--variant xs --blocks 3,4,6,27", "27 blocks in a stage: at most 26 have a letter"),
        ("--variant xs --dataset nowhere.toml", "nowhere.toml: No such file or directory: make"),
        ("--variant xs --batch-size 100000", "Caffe holds at most 2,147,483,647 elements"),
    ],
)
def test_what_cannot_be_built_is_one_message_and_nothing_is_written(
    arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in refused(1, "build", *arguments.split())
    assert tree(tmp_path) == {}


def test_an_unknown_command_is_refused() -> None:
    assert "No such command 'make'" in refused(2, "make")


@pytest.mark.parametrize("option", ["--out", "--dataset"])
@pytest.mark.parametrize("path", ["a\nlayer { name: 'b' }", "tab\t", "bell\x07", "\udcff"])
def test_a_path_that_would_break_a_comment_is_refused(
    option: str, path: str, tmp_path: Path
) -> None:
    """The header names it, and what followed a line break would be part of the network."""
    message = refused(2, "build", "--variant", "x0", *NARROW, option, path)
    assert f"{option}': {path!r} has characters that cannot be printed" in message
    assert tree(tmp_path) == {}


# ---- what fails leaves everything as it was -----------------------------------------------------

# Root may write anywhere, except without this capability.
NO_PRIVILEGES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
OLD = ("build", "--variant", "xs", "--out", "out", *NARROW)
NEW = ("build", "--variant", "xs", "--out", "out")


@pytest.fixture
def old(tmp_path: Path) -> dict[str, bytes | None]:
    """A network built earlier, which a build that fails must not touch."""
    succeed(*OLD)
    return tree(tmp_path)


def failed(result: subprocess.CompletedProcess[str]) -> str:
    """The one message of a command that failed."""
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("place", ["out/solvers", "out/models/xs"])
def test_without_write_permission_the_old_files_stay(
    place: str, old: dict[str, bytes | None], tmp_path: Path
) -> None:
    (tmp_path / place).chmod(0o555)
    message = failed(program(*NO_PRIVILEGES, arguments=NEW, folder=tmp_path))
    (tmp_path / place).chmod(0o755)
    assert "Permission denied: check its permissions, or choose another place" in message
    assert place in message
    assert tree(tmp_path) == old


def test_a_write_that_breaks_off_leaves_the_old_files(
    old: dict[str, bytes | None], tmp_path: Path
) -> None:
    message = failed(program("prlimit", "--fsize=30000", arguments=NEW, folder=tmp_path))
    assert "File too large" in message
    assert tree(tmp_path) == old


def test_something_else_in_a_files_place_leaves_the_old_files(
    old: dict[str, bytes | None], tmp_path: Path
) -> None:
    (tmp_path / "out/solvers/xs.prototxt").unlink()
    (tmp_path / "out/solvers/xs.prototxt").mkdir()
    before = tree(tmp_path)
    assert "xs.prototxt: Is a directory" in refused(1, *NEW)
    assert tree(tmp_path) == before
    assert before.keys() == old.keys()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file" in refused(2, "build", "--variant", "xs", "--out", "file")
    assert "Not a directory" in refused(1, "build", "--variant", "xs", "--out", "file/below")
    assert tree(tmp_path) == {"file": b"mine"}


FULL_DISK = """
mount -t tmpfs -o size=256k tmpfs disk
cd disk
"$@" --width 4 --blocks 1,1,1,2 >/dev/null 2>&1
find . -type f -exec sha256sum {} + | sort >../before
head -c 300k /dev/zero >fill 2>/dev/null
"$@"
echo "exit code $?"
rm fill
find . -type f -exec sha256sum {} + | sort >../after
"""


def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    private = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a small disk of one's own takes a mount namespace, not permitted here")
    (tmp_path / "disk").mkdir()
    script = [*private, "/bin/sh", "-c", FULL_DISK, "sh"]
    result = program(*script, arguments=("build", "--variant", "xs"), folder=tmp_path)
    assert result.stdout == "exit code 1\n", result.stderr
    assert "No space left on device: free some space, or choose another place" in result.stderr
    before = (tmp_path / "before").read_text()
    assert before.count("prototxt") == 3
    assert (tmp_path / "after").read_text() == before


# ---- other datasets and odd paths ---------------------------------------------------------------

ODD = "d 'q\" \\ é"


def make_dataset(folder: Path, **tasks: int) -> None:
    """Make a dataset's databases and its dataset.toml in a folder."""
    data = dataset(tasks or {"item": 7, "season": 3}, (1, 16, 16), folder=".")
    make_databases(data, folder)
    write_dataset(dataset(tasks or {"item": 7, "season": 3}, (1, 16, 16), folder=str(folder)),
                  folder / "dataset.toml")  # fmt: skip


def load(solver_file: str) -> list[str]:
    """In Caffe: load a solver and train once; return the outputs of its networks."""
    import caffe

    solver = caffe.get_solver(solver_file)
    solver.step(1)
    return [*solver.net.outputs, *solver.test_nets[0].outputs]


@pytest.mark.parametrize("out", [ODD, "plain"])
def test_caffe_finds_odd_paths_of_data_and_networks(out: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / ODD)
    succeed(
        *("build", "--variant", "xs", "--dataset", f"{ODD}/dataset.toml", "--out", out),
        *(*NARROW, "--stem", "small", "--solver-mode", "cpu", "--batch-size", 4, "--snapshot", 1),
    )
    answer = in_caffe(load, f"{out}/solvers/xs.prototxt", folder=tmp_path)
    assert answer.complaints == []
    assert len(answer.value) == 2 + 5
    assert (tmp_path / out / "models/xs/snapshots/xs_iter_1.caffemodel").exists()


def test_the_command_to_train_is_quoted_for_a_shell(tmp_path: Path) -> None:
    result = succeed("build", "--variant", "x0", *NARROW, "--out", ODD)
    command = "caffe train -solver " + shlex.quote(f"{ODD}/solvers/x0.prototxt") + " -gpu 0"
    assert command in result.stderr
    assert command in (tmp_path / ODD / "solvers/x0.prototxt").read_text(encoding="utf-8")


def test_a_dataset_brings_its_own_tasks(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", colour=3, shape=9)
    options = ("--dataset", "data/dataset.toml", *NARROW, "--stem", "small", "--out", "out")
    result = succeed("build", "--all", *options)
    for name in ("caffenet-colour", "inception-v1-shape", "vgg16-colour"):
        assert f"left out {name}: {name} is not made of residual blocks" in result.stderr
    names = sorted(path.name for path in (tmp_path / "out/models").iterdir())
    assert names == ["resnet50-colour", "resnet50-shape", "x0", "x1", "xs"]
    message = refused(2, "build", "--variant", "resnet50-noun", *options)
    assert "vgg16-shape, resnet50-colour, resnet50-shape, x0, x1, xs" in message
    assert "mtvso" not in (tmp_path / "out/models/xs/train_val.prototxt").read_text()


# ---- netgen list --------------------------------------------------------------------------------


def test_list_shows_every_network_with_table_2s_parameters() -> None:
    lines = succeed("list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == VARIANTS
    assert [line.split()[-1] for line in lines] == [
        paper.TABLE_2_PARAMETERS[variant] for variant in VARIANTS
    ]


def test_list_speaks_json() -> None:
    rows = json.loads(succeed("list", "--json").stdout)
    assert [row["variant"] for row in rows] == VARIANTS
    assert {row["tasks"] for row in rows} == {*paper.TASKS, ", ".join(paper.TASKS)}


def test_list_shows_every_reading_and_which_is_ours() -> None:
    rows = json.loads(succeed("list", "--readings", "--json").stdout)
    shown = [row["--reading"] for row in rows]
    assert shown == [
        f"{name}={value.slug}" for name, option in READINGS.items() for value in option.values
    ]
    assert sum(row["ours"] == "*" for row in rows) == len(READINGS)
    for reading in shown:
        succeed("build", "--variant", "xs", "--memory", 20, "--reading", reading)


def test_list_shows_the_networks_of_a_dataset(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", colour=3, shape=9)
    output = succeed("list", "--dataset", "data/dataset.toml").stdout
    assert "resnet50-shape" in output
    assert "43.16" not in output, "Table 2 says nothing about other data"


# ---- starting up and installing -----------------------------------------------------------------

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
    installed = {"netgen", "data_prep", "templates"}
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

    shutil.rmtree(source)  # the templates have to be in the package
    run("env/bin/netgen", "build", "--all", "--out", "out")
    run("env/bin/netgen", "build", "--variant", "xs")
    assert (tmp_path / "models/xs/train_val.prototxt").read_bytes() == (
        ROOT / "models/xs/train_val.prototxt"
    ).read_bytes()
    assert run("env/bin/netgen", "--version").stdout.startswith("netgen, version ")
