"""The recipe that builds Caffe, the engine it gave, and the set-up around it.

The engine's own tests run the Caffe that `./run setup` put into this environment. Those of the
recipe and the set-up run in copies, with programs that pretend: nothing here installs, fetches or
compiles.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
VENV = Path(sys.prefix)
BUILD = "docker/caffe/build.sh"


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a child that may fail, with ``env`` added to the environment, and give what it said."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def bash(script: str, *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a script that must succeed, and give its output."""
    result = run("/bin/bash", "-euc", script, cwd=cwd, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the set-up reads, so that a test may break it."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "docker", copy / "docker")
    for name in ("run", "setup.py", "pyproject.toml"):
        shutil.copy2(ROOT / name, copy)
    (copy / "netgen/caffe").mkdir(parents=True)
    shutil.copy2(ROOT / "netgen/caffe/caffe.proto", copy / "netgen/caffe")
    return copy


# ---- the engine ---------------------------------------------------------------------------------

NET = """
name: "recipe"
layer {{ name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {{
  shape {{ dim: 4 dim: 3 dim: 8 dim: 8 }} shape {{ dim: 4 }}
  data_filler {{ type: "gaussian" std: 2 }} data_filler {{ type: "constant" value: 1 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 5 kernel_size: 3 weight_filler {{ type: "msra" }}
  bias_filler {{ type: "gaussian" }} }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" {params}
  batch_norm_param {{ use_global_stats: {frozen} }} }}
layer {{ name: "scale" type: "Scale" bottom: "bn" top: "scale"
  scale_param {{ filler {{ type: "gaussian" }} bias_term: true
  bias_filler {{ type: "gaussian" }} }} }}
layer {{ name: "{classifier}" type: "InnerProduct" bottom: "scale" top: "score"
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""


def train(
    folder: Path,
    *options: str,
    seed: int,
    frozen: str = "true",
    classifier: str = "fc",
    params: str = "",
    rate: str = "base_lr: 0",
) -> subprocess.CompletedProcess[str]:
    """Train one iteration at rate 0 in a new folder, ending in ``folder/net_iter_1.caffemodel``.

    Statistics of batches move even at rate 0, so they are frozen unless a test wants them moved.
    """
    folder.mkdir()
    net = NET.format(frozen=frozen, classifier=classifier, params=params)
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(
        f'net: "net.prototxt" {rate} lr_policy: "fixed" max_iter: 1 random_seed: {seed} '
        'snapshot_prefix: "net" solver_mode: CPU'
    )
    caffe = VENV / "bin/caffe"
    assert caffe.exists(), "Caffe is not in this environment: ./run setup builds it"
    return run(
        caffe,
        "train",
        "-solver",
        "solver.prototxt",
        *options,
        cwd=folder,
        env={"GLOG_logtostderr": "1"},
    )


def python(script: str, *, env: dict[str, str] | None = None) -> str:
    """Run a script in a Python of its own, because Caffe aborts the process on what it dislikes."""
    result = run(sys.executable, "-W", "error", "-c", textwrap.dedent(script), env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def blobs_of(folder: Path) -> dict[str, list[float]]:
    """Every blob of every layer that a training left, e.g. ``conv 0``, as a list of its numbers."""
    script = f"""
        from caffe.proto import caffe_pb2
        net = caffe_pb2.NetParameter.FromString(
            open({str(folder / "net_iter_1.caffemodel")!r}, "rb").read())
        for layer in net.layer:
            for index, blob in enumerate(layer.blobs):
                print(layer.name, index, *blob.data)
        """
    rows = [line.split() for line in python(script).splitlines()]
    return {f"{name} {index}": [float(x) for x in numbers] for name, index, *numbers in rows}


def test_caffe_train_loads_every_layer_of_the_weights_it_is_given(tmp_path: Path) -> None:
    train(tmp_path / "given", seed=1, frozen="false")
    train(tmp_path / "other", seed=2)
    weights = str(tmp_path / "given/net_iter_1.caffemodel")
    loaded = train(tmp_path / "loaded", "-weights", weights, seed=2)

    given, other = blobs_of(tmp_path / "given"), blobs_of(tmp_path / "other")
    assert [*given] == [
        *("conv 0", "conv 1"),
        *("bn 0", "bn 1", "bn 2"),
        *("scale 0", "scale 1"),
        *("fc 0", "fc 1"),
    ]
    same = [name for name in given if given[name] == other[name]]
    assert same == ["fc 1"], "the two trainings have to differ for this test to prove anything"
    assert blobs_of(tmp_path / "loaded") == given
    assert f"Finetuning from {weights}" in loaded.stderr


def test_caffe_train_fails_on_weights_that_are_not_there(tmp_path: Path) -> None:
    result = train(tmp_path / "loaded", "-weights", "nowhere.caffemodel", seed=1)
    assert result.returncode != 0
    assert "nowhere.caffemodel" in result.stderr


def test_caffe_says_which_layers_of_the_weights_the_net_does_not_have(tmp_path: Path) -> None:
    train(tmp_path / "given", seed=1, classifier="fc_old")
    weights = str(tmp_path / "given/net_iter_1.caffemodel")
    loaded = train(tmp_path / "loaded", "-weights", weights, seed=2)
    assert "Ignoring source layer fc_old\n" in loaded.stderr
    assert "Ignoring source layer conv\n" not in loaded.stderr


@pytest.mark.parametrize("params", ["", 3 * "param { lr_mult: 0 decay_mult: 0 } "])
def test_neither_rate_nor_decay_touches_the_averages_of_batchnorm(
    tmp_path: Path, params: str
) -> None:
    settings = {"seed": 1, "frozen": "false", "params": params}
    train(tmp_path / "still", **settings)
    train(tmp_path / "moving", rate="base_lr: 0.1 weight_decay: 1", **settings)
    still, moving = blobs_of(tmp_path / "still"), blobs_of(tmp_path / "moving")
    assert still["conv 0"] != moving["conv 0"]
    for blob in ("bn 0", "bn 1", "bn 2"):
        assert still[blob] == moving[blob]


def test_squares_are_exact_products(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1000 } } }
        layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { power: 2 } }
        """)
    python(f"""
        import caffe, numpy
        net = caffe.Net({str(tmp_path / "net.prototxt")!r}, caffe.TEST)
        x = numpy.random.default_rng(1).normal(size=1000).astype("float32")
        net.blobs["x"].data[:] = x
        assert (net.forward()["y"] == x * x).all()
        """)


@pytest.mark.parametrize("first", ["caffe", "cv2"])
def test_caffe_and_opencv_live_in_one_process(first: str) -> None:
    second = {"caffe": "cv2", "cv2": "caffe"}[first]
    python(f"""
        import {first}, {second}
        import cv2, numpy
        image = numpy.full((8, 8, 3), 7, numpy.uint8)
        assert (cv2.imdecode(cv2.imencode(".png", image)[1], 1) == image).all()
        """)


def test_importing_caffe_says_nothing() -> None:
    result = run(sys.executable, "-c", "import caffe")
    assert (result.stdout, result.stderr) == ("", "")


def test_pycaffes_datums_and_images_work_with_todays_numpy_and_scikit_image(tmp_path: Path) -> None:
    python(f"""
        import caffe, cv2, numpy
        image = numpy.arange(48, dtype=numpy.uint8).reshape(3, 4, 4)
        datum = caffe.io.array_to_datum(image, label=2)
        back = caffe.io.datum_to_array(datum)
        back[0, 0, 0] = 9   # the caller may write into it
        assert (back.ravel()[1:] == image.ravel()[1:]).all() and datum.label == 2
        cv2.imwrite({str(tmp_path / "grey.png")!r}, image[0])
        assert caffe.io.load_image({str(tmp_path / "grey.png")!r}, color=False).shape == (4, 4, 1)
        assert caffe.proto.caffe_pb2.TRAIN == caffe.TRAIN == 0
        assert caffe.proto.caffe_pb2.SolverParameter.SolverMode.Name(0) == "CPU"
        """)


def test_the_programs_find_their_library_without_help() -> None:
    for program in ("caffe", "convert_imageset", "compute_image_mean"):
        result = run(VENV / "bin" / program, "--version", env={"LD_LIBRARY_PATH": ""})
        assert result.returncode == 0, result.stderr


def test_a_build_tells_what_it_was_built_from() -> None:
    record = (VENV / "bin/caffe").resolve().parent.parent / "build.txt"
    told = dict(line.split(": ", 1) for line in record.read_text().splitlines())
    assert {"from", "era", "devices", "source", "flags", "key", "seconds"} <= set(told)
    assert "ffast-math" not in told["flags"]


# ---- the replacements ---------------------------------------------------------------------------


def load_replacements() -> ModuleType:
    """Import docker/caffe/replacements.py, which belongs to no package."""
    path = ROOT / "docker/caffe/replacements.py"
    spec = importlib.util.spec_from_file_location("replacements", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


replacements = load_replacements()


def make_source(tree: Path) -> dict[str, str]:
    """Write a source of nothing but the texts to replace, and give each file's text."""
    texts: dict[str, str] = {}
    for replacement in replacements.REPLACEMENTS:
        texts[replacement.file] = texts.get(replacement.file, "") + replacement.old
    for name, text in texts.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return texts


def test_every_replacement_is_made_in_a_source_that_needs_it(tmp_path: Path) -> None:
    make_source(tmp_path)
    report = replacements.mend_tree(tmp_path)
    assert [line.split(":")[0] for line in report] == ["mended"] * len(replacements.REPLACEMENTS)
    for replacement in replacements.REPLACEMENTS:
        assert replacement.new in (tmp_path / replacement.file).read_text()


def test_weights_are_left_to_a_caffe_that_loads_them_itself(tmp_path: Path) -> None:
    make_source(tmp_path)
    program = tmp_path / "tools/caffe.cpp"
    right = "solver_param.add_weights(FLAGS_weights);\n" + program.read_text()
    program.write_text(right)
    assert replacements.mend_tree(tmp_path)[0].startswith("right already: ")
    assert program.read_text() == right


@pytest.mark.parametrize("replacement", replacements.REPLACEMENTS, ids=lambda r: r.why)
@pytest.mark.parametrize("change", ["gone", "twice"])
def test_an_unexpected_source_is_refused_and_left_as_it_was(
    tmp_path: Path, replacement: object, change: str
) -> None:
    assert isinstance(replacement, replacements.Replacement)
    texts = make_source(tmp_path)
    altered = {"gone": "// other code\n", "twice": replacement.old * 2}[change]
    texts[replacement.file] = texts[replacement.file].replace(replacement.old, altered)
    (tmp_path / replacement.file).write_text(texts[replacement.file])

    result = run(sys.executable, ROOT / "docker/caffe/replacements.py", tmp_path)

    assert result.returncode == 1
    assert f"not what the recipe expects: {replacement.file}: expected once" in result.stderr
    assert "Next: " in result.stderr
    assert "Traceback" not in result.stderr
    assert {name: (tmp_path / name).read_text() for name in texts} == texts


# ---- the cache ----------------------------------------------------------------------------------


def key(checkout: Path, **env: str) -> str:
    """The cache key of a checkout's recipe in this environment."""
    result = run(checkout / BUILD, "--key", VENV, env=env)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1].removeprefix("key: ")


def make_tree(tree: Path) -> Path:
    """Write the skeleton of a source tree of Caffe."""
    for name in ("CMakeLists.txt", "include/a.hpp", "python/a.py", "tools/a.cpp"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("")
    (tree / "src/caffe/proto").mkdir(parents=True)
    (tree / "src/caffe/proto/caffe.proto").write_text('syntax = "proto2";')
    return tree


def test_the_key_stays_when_nothing_changes(checkout: Path) -> None:
    assert key(checkout) == key(ROOT)


@pytest.mark.parametrize("name", ["build.sh", "CMakeLists.txt", "compat.hpp", "replacements.py"])
def test_the_key_changes_with_the_recipe(checkout: Path, name: str) -> None:
    before = key(checkout)
    with (checkout / "docker/caffe" / name).open("a") as file:
        file.write("\n")
    assert key(checkout) != before


def test_the_key_changes_with_the_flags(checkout: Path) -> None:
    assert key(checkout, CAFFE_PORTABLE="1") != key(checkout)


def test_the_key_changes_with_what_is_built_of_the_source_alone(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    before = key(ROOT, CAFFE_SOURCE=str(tree))
    assert before != key(ROOT)
    (tree / "README").write_text("of no matter")
    assert key(ROOT, CAFFE_SOURCE=str(tree)) == before
    (tree / "tools/a.cpp").write_text("int main() {}")
    assert key(ROOT, CAFFE_SOURCE=str(tree)) != before


def test_a_source_in_a_tar_file_is_unpacked_without_what_lies_around_it(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "caffe-1.0")
    (tree / "README").write_text("of no matter")
    run("tar", "-czf", "caffe.tar.gz", "caffe-1.0", cwd=tmp_path)
    result = run(
        BUILD, "--unpack", VENV, tmp_path / "new", env={"CAFFE_SOURCE": f"{tmp_path}/caffe.tar.gz"}
    )
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "CMakeLists.txt",
        "include",
        "python",
        "src",
        "tools",
    ]
    assert not (tmp_path / "new.unpacked").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere", "does not exist"), (".", "is no source tree of Caffe"), ("a.tar", "no tar file")],
)
def test_a_source_that_is_no_caffe_is_refused(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "a.tar").write_text("not a tar file")
    env = {"CAFFE_SOURCE": str(tmp_path / source), "NETGEN_CACHE": str(tmp_path / "cache")}
    result = run(BUILD, VENV, env=env)
    assert result.returncode == 1
    assert message in result.stderr
    assert not list((tmp_path / "cache").glob("caffe-*[!a-z.]"))


# The steps of a build that take long, replaced by some that take a second.
QUICK_BUILD = """
    unpack_source() { mkdir -p "$2"; }
    compile() { sleep 1; mkdir -p "$(dirname "$2")/$(basename "$2")/prefix"; echo compiled; }
    check_whole() { true; }
    record_build() { echo recorded; }
    """


def build_quickly(checkout: Path, cache: Path, *, changes: str = "") -> str:
    """Give the script that builds with pretended steps, in a cache of the test's own."""
    (checkout / "docker/caffe/replacements.py").write_text("")
    return f"""
        . {checkout / BUILD}
        CACHE={cache}
        {QUICK_BUILD}
        {changes}
        find_or_build {VENV} {cache}/caffe-test
        """


def test_two_set_ups_at_once_build_once(checkout: Path, tmp_path: Path) -> None:
    script = build_quickly(checkout, tmp_path / "cache")
    said = bash(f"({script}) & ({script}); wait", cwd=checkout)
    assert said.count("built Caffe in") == 1
    assert said.count("waiting") == 1
    assert (tmp_path / "cache/caffe-test/build.txt").read_text() == "recorded\n"


def test_a_second_build_is_found_in_the_cache(checkout: Path, tmp_path: Path) -> None:
    script = build_quickly(checkout, tmp_path / "cache")
    bash(script, cwd=checkout)
    assert bash(script, cwd=checkout).startswith("Caffe is in the cache")


def test_a_build_that_fails_shows_why_and_leaves_no_prefix(checkout: Path, tmp_path: Path) -> None:
    failing = 'compile() { echo "blob.cpp:1:1: error: no such thing"; return 1; }'
    script = build_quickly(checkout, tmp_path / "cache", changes=failing)
    result = run("/bin/bash", "-c", script, cwd=checkout)
    assert result.returncode == 1
    assert "blob.cpp:1:1: error: no such thing" in result.stderr
    assert "Caffe did not compile" in result.stderr
    assert not (tmp_path / "cache/caffe-test").exists()


def test_what_a_stopped_build_left_is_not_taken_for_a_caffe(checkout: Path, tmp_path: Path) -> None:
    leftover = tmp_path / "cache/caffe-test.partial/prefix/bin/half-written"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("")
    said = bash(build_quickly(checkout, tmp_path / "cache"), cwd=checkout)
    assert "built Caffe in" in said
    assert not (tmp_path / "cache/caffe-test/bin/half-written").exists()


# ---- ./run --------------------------------------------------------------------------------------

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


def write_program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def path_with(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.parametrize(("words", "code"), [([], 2), (["dmeo"], 2), (["test", "-v"], 2)])
def test_run_shows_its_usage_when_it_does_not_understand(words: list[str], code: int) -> None:
    result = run(ROOT / "run", *words)
    assert result.returncode == code
    assert "usage: ./run COMMAND" in result.stderr
    assert result.stdout == ""


def test_run_help_names_its_words_and_its_variables() -> None:
    result = run(ROOT / "run", "help")
    assert result.returncode == 0
    for word in ("demo", "test", "setup", "NETGEN_CACHE", "CAFFE_SOURCE", "CAFFE_PORTABLE"):
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
    assert "this is haiku-1; the set-up supports debian-12, ubuntu-22.04, ubuntu-24.04" in (
        result.stderr
    )
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
    result = run(BUILD, VENV, env=NO_INDEX | {"NETGEN_CACHE": str(cache)})
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


def test_shellcheck_finds_nothing() -> None:
    scripts = ["run", ".ci/run", BUILD, *map(str, sorted((ROOT / "docker").rglob("*.sh")))]
    result = run("shellcheck", "--external-sources", *scripts)
    assert result.returncode == 0, result.stdout
