"""The recipe that builds Caffe: its replacements in the source, and its cache."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.paths import ROOT
from support.recipe import BUILD, SOURCES, VENV, bash, run, write_program

# ---- the replacements ---------------------------------------------------------------------------


FOLDER = ROOT / "docker/caffe/replacements"


def load_replacements() -> ModuleType:
    """Import docker/caffe/replacements, which belongs to no package, as its program does."""
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("replacements", FOLDER / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(FOLDER))
    return module


replacements = load_replacements()
ROWS = replacements.REPLACEMENTS


def make_source(tree: Path) -> dict[str, str]:
    """Write a source of nothing but the texts to replace, and give each file's text."""
    texts: dict[str, str] = {}
    for replacement in ROWS:
        texts[replacement.file] = texts.get(replacement.file, "") + replacement.old
    for name, text in texts.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return texts


def test_every_replacement_is_made_in_a_source_that_needs_it(tmp_path: Path) -> None:
    texts = make_source(tmp_path)
    # One edit's text may be another's sign that a tree is right already.
    needed = [not any(sign in texts[row.file] for sign in row.unneeded_if) for row in ROWS]
    report = replacements.mend_tree(tmp_path, ROWS)
    states = {True: "mended", False: "right already"}
    assert [line.split(":")[0] for line in report] == [states[each] for each in needed]
    assert sum(needed) >= len(ROWS) - 1
    for replacement, each in zip(ROWS, needed, strict=True):
        assert not each or replacement.new in (tmp_path / replacement.file).read_text()


def test_weights_are_left_to_a_caffe_that_loads_them_itself(tmp_path: Path) -> None:
    make_source(tmp_path)
    program = tmp_path / "tools/caffe.cpp"
    right = "solver_param.add_weights(FLAGS_weights);\n" + program.read_text()
    program.write_text(right)
    assert replacements.mend_tree(tmp_path, ROWS)[0].startswith("right already: ")
    assert program.read_text() == right


@pytest.mark.parametrize("replacement", ROWS, ids=lambda r: r.why)
@pytest.mark.parametrize("change", ["gone", "twice"])
def test_an_unexpected_source_is_refused_and_left_as_it_was(
    tmp_path: Path, replacement: object, change: str
) -> None:
    assert isinstance(replacement, type(ROWS[0]))
    texts = make_source(tmp_path)
    altered = {"gone": "// other code\n", "twice": replacement.old * 2}[change]
    texts[replacement.file] = texts[replacement.file].replace(replacement.old, altered)
    (tmp_path / replacement.file).write_text(texts[replacement.file])

    result = run(sys.executable, FOLDER, tmp_path)

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


@pytest.mark.parametrize(
    "name",
    ["build.sh", "CMakeLists.txt", "compat.hpp", "replacements/layers.py", "kernels/kernels.hpp"],
)
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


def test_a_source_of_links_is_copied_and_followed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    links = tmp_path / "links"
    links.mkdir()
    for path in tree.iterdir():
        (links / path.name).symlink_to(path)
    env = {"CAFFE_SOURCE": str(links)}
    before = key(ROOT, **env)
    (tree / "tools/a.cpp").write_text("int main() {}")
    assert key(ROOT, **env) != before
    result = run(BUILD, "--unpack", VENV, tmp_path / "new", env=env)
    assert result.returncode == 0, result.stderr
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_symlink()]


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


def without_mirrors(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine whose apt knows mirrors that lack the package."""
    folder = tmp_path / "pretend"
    folder.mkdir()
    write_program(folder / "apt-get", f"echo file://{tmp_path}/mirror/")
    return {"PATH": f"{folder}:/usr/bin:/bin", "NETGEN_CACHE": str(tmp_path / "cache")}


def test_where_no_mirror_has_the_first_source_the_second_is_taken_and_said(tmp_path: Path) -> None:
    result = run(ROOT / BUILD, "--key", VENV, env=without_mirrors(tmp_path))
    assert result.returncode == 0, result.stderr
    assert f"source: {SOURCES['pypi']}\n" in result.stdout
    assert "so this takes the second source, brocolli-caffe==9.0.2" in result.stderr
    assert "CAFFE_SOURCE=<folder or tar file>" in result.stderr
    assert not list((tmp_path / "cache/sources").iterdir())


def test_mirrors_are_known_where_the_lists_of_packages_were_removed(tmp_path: Path) -> None:
    # As in images, and on every machine after `rm -rf /var/lib/apt/lists/*`.
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path}/lists/";\n')
    env = {"APT_CONFIG": f"{tmp_path}/apt.conf", "NETGEN_CACHE": str(tmp_path / "cache")}
    result = run(ROOT / BUILD, "--key", VENV, env=env)
    assert result.returncode == 0, result.stderr
    assert "apt knows of no mirror" not in result.stderr


def test_the_first_source_is_not_replaced_where_it_was_asked_for(tmp_path: Path) -> None:
    env = without_mirrors(tmp_path) | {"CAFFE_SOURCE": "debian"}
    result = run(ROOT / BUILD, "--unpack", VENV, tmp_path / "new", env=env)
    assert result.returncode == 1
    assert "Next: mend the network or apt's sources" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_caffe_that_is_built_already_needs_no_mirror(tmp_path: Path) -> None:
    env = without_mirrors(tmp_path)
    (tmp_path / "cache/caffe-built").mkdir(parents=True)
    (tmp_path / "cache/caffe-built/build.txt").write_text(f"source: {SOURCES['debian']}\n")
    result = run(ROOT / BUILD, "--key", VENV, env=env)
    assert f"source: {SOURCES['debian']}\n" in result.stdout
    assert result.stderr == ""


# The steps of a build that take long, replaced by some that take a second.
QUICK_BUILD = """
    SOURCE=of-the-test SOURCE_HASH=0
    unpack_source() { mkdir -p "$2"; }
    compile() { sleep 1; mkdir -p "$(dirname "$2")/$(basename "$2")/prefix"; echo compiled; }
    check_whole() { true; }
    record_build() { echo recorded; }
    """


def build_quickly(checkout: Path, cache: Path, *, changes: str = "") -> str:
    """Give the script that builds with pretended steps, in a cache of the test's own."""
    (checkout / "docker/caffe/replacements/__main__.py").write_text("")
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
