"""Wherever a reader is told to train a network of Table 2, it is as in section 5.2."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from support.build_command import NARROW, make_dataset, netgen, succeed
from support.networks import NARROW as NARROW_NETWORK
from support.networks import TRAINED, dataset, make_databases, order
from support.paths import ROOT
from support.training import Place

from netgen import paper
from netgen.commands.cli import main
from netgen.network.build import network_files
from netgen.network.training_commands import TrainingCommands
from netgen.network.variants import find
from netgen.paper import Recipe
from netgen.pipeline.study.cells import as_typed
from netgen.pipeline.study.study_changes import Changes
from netgen.pipeline.study.study_plan import plan_study
from netgen.pipeline.study.study_reading import committed
from netgen.system.files import write_all

TRAINS = re.compile(r"(?:netgen|caffe) train (?:[^`\n;|#>]|\d>)*")
TABLE_2 = re.compile(
    rf"--variant (?:{'|'.join(TRAINED)})\b|solver '?solvers/(?:{'|'.join(TRAINED)})\.prototxt"
)
HISTORY = {"CHANGELOG.md"}  # tells what was

# ---- the places ---------------------------------------------------------------------------------


def documents() -> Iterator[tuple[str, str]]:
    """Every page and committed solver, and what `./run` prints."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "solvers/*", "run"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.split():
        if name not in HISTORY:
            yield name, (ROOT / name).read_text(encoding="utf-8")


def helps(command: click.Command = main, name: str = "netgen") -> Iterator[tuple[str, str]]:
    """The help of every command."""
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=1000)
    yield f"{name} --help", context.get_help()
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            if found := command.get_command(context, each):
                yield from helps(found, f"{name} {each}")


def paragraphs(text: str) -> Iterator[str]:
    """A page's paragraphs, or a prototxt's blocks; continued lines are joined."""
    return iter(text.replace("\\\n", " ").split("\n\n"))


@cache
def places() -> dict[str, str]:
    return dict([*documents(), *helps()])


def told(text: str) -> list[str]:
    """The commands in a text that train a network."""
    return [found.strip() for found in TRAINS.findall(text)]


def of_table_2(commands: list[str]) -> list[str]:
    return [command for command in commands if TABLE_2.search(command)]


def starts_or_resumes(command: str) -> bool:
    return bool({"--weights", "-weights", "--resume"} & set(command.split()))


# ---- networks of Table 2 ------------------------------------------------------------------------


def test_every_command_that_trains_a_network_of_table_2_names_its_weights() -> None:
    without = [
        f"{place}: {command}"
        for place, text in places().items()
        for paragraph in paragraphs(text)
        for command in of_table_2(told(paragraph))
        if not starts_or_resumes(command)
    ]
    assert not without


def test_wherever_plain_caffe_trains_one_what_it_lacks_is_said() -> None:
    for place, text in places().items():
        for paragraph in paragraphs(text):
            if any(command.startswith("caffe") for command in of_table_2(told(paragraph))):
                assert "plateaus" in paragraph, place
                assert "resume" in paragraph, place


@pytest.mark.parametrize(
    "place",
    [
        *(f"solvers/{name}.prototxt" for name in TRAINED),
        *("AUDIT.md", "netgen --help", "docs/commands.md", "docs/replicate-table-2.md"),
    ],
)
def test_the_places_that_tell_it_name_init_and_train(place: str) -> None:
    """Without them, the tests above would find nothing to read."""
    assert re.search(r"netgen init --variant \S+ --from \S+\.caffemodel", places()[place])
    assert any(c.startswith("netgen train") for c in of_table_2(told(places()[place])))


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("variant", TRAINED)
def test_the_last_words_of_build_are_those_of_the_solver(variant: str) -> None:
    said = succeed("build", "--variant", variant).stderr.strip().splitlines()
    commands = TrainingCommands(variant, published=find(variant, [*paper.TASKS]).row.weights)
    assert said == [*commands.lines]
    assert {f"  {each}" for each in (commands.init, commands.train, commands.caffe)} <= {*said}
    solver = Path(f"solvers/{variant}.prototxt").read_text(encoding="utf-8")
    assert "\n".join(f"# {line}" for line in said) in solver


@pytest.mark.parametrize("variant", TRAINED)
def test_netgen_table_runs_what_is_told(variant: str, tmp_path: Path) -> None:
    row = find(variant, [*paper.TASKS]).row
    commands = TrainingCommands(variant, published=str(tmp_path / row.weights))
    plan = plan_study(committed("table2"), Changes(weights=tmp_path), gpu=0)
    ran = [as_typed(step.first_words) for step in plan.cells[variant].steps]
    assert {commands.init, commands.train} <= set(ran)


@pytest.mark.parametrize("variant", TRAINED)
@pytest.mark.parametrize("out", [Path(), Path("it's here")], ids=str)
@pytest.mark.parametrize("scheduled", [False, True])
def test_the_commands_exist_with_their_options(variant: str, out: Path, scheduled: bool) -> None:
    commands = TrainingCommands(variant, out, scheduled=scheduled)
    for line in (commands.init, commands.train):
        _, name, *words = shlex.split(line or "")
        command = main.get_command(click.Context(main), name)
        assert command is not None
        # Files are not there: of the words, only the options are looked at.
        known = {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= known


# ---- networks that no published weights fit -----------------------------------------------------


def test_what_starts_from_scratch_says_so_and_that_section_5_2_did_not() -> None:
    """The demo, and the guide to one's own images."""
    found = set()
    for place, text in places().items():
        commands = [c for c in told(text) if re.search(r"\.prototxt|\$solver|%s", c)]
        if any(not starts_or_resumes(command) for command in commands):
            found.add(place)
            assert "from random weights" in text, place
            assert re.search(r"[Ss]ection\s5\.2", text), place
    assert found == {"run", "docs/your-own-images.md"}


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize(
    "options",
    [
        ("--width", 32), ("--stem", "small", "--memory", 300), ("--reading", "conv1=sixty"),
        ("--reading", "conv1-bias=no"), ("--reading", "stride=in-3x3"),
        ("--dataset", "data/dataset.toml", *NARROW, "--stem", "small"),
    ],
    ids=lambda options: " ".join(map(str, options)),
)  # fmt: skip
def test_build_tells_that_init_reads_no_weights_that_fit(options: tuple[object, ...]) -> None:
    make_dataset(Path("data"))
    said = succeed("build", "--variant", "xs", *options).stderr
    assert "starts from random weights" in said
    assert "none of those that are published for the paper's networks" in " ".join(said.split())
    assert "as section 5.2 did not" in said
    assert not any(map(starts_or_resumes, told(said)))
    header = "\n".join(f"# {line}" for line in said.strip().splitlines())
    assert header in Path("solvers/xs.prototxt").read_text(encoding="utf-8")


@pytest.mark.usefixtures("in_an_empty_folder")
def test_a_rate_that_the_solver_lowers_is_followed() -> None:
    said = succeed("build", "--variant", "xs", "--stepvalues", "900,1200").stderr
    (command,) = [c for c in told(said) if c.startswith("netgen")]
    assert command.endswith("--gpu 0 --plateau off")
    assert "plateaus" not in said


# ---- `netgen train` -----------------------------------------------------------------------------


def train(folder: Path, classes: dict[str, int], *words: str) -> str:
    """Train a narrow X_S for two iterations; return what is said."""
    data = dataset(classes, (3, 32, 32))
    make_databases(data, folder)
    recipe = Recipe(batch_size=2, max_iter=2, test_interval=2, snapshot=2, display=1, memory=1e6)
    made = network_files(order("xs", data, NARROW_NETWORK, recipe))
    write_all({folder / path: text for path, text in made.items()})
    return Place(folder).train("runs/first", "--plateau", "off", *words)


def test_a_network_of_the_papers_from_random_weights_is_told_of_section_5_2(tmp_path: Path) -> None:
    said = train(tmp_path, paper.TASKS)
    assert "note: xs starts from random weights; section 5.2 started from ImageNet's" in said
    weights = "runs/first/snapshots/xs_iter_2.caffemodel"
    again = Place(tmp_path).train("runs/second", "--plateau", "off", "--weights", weights)
    assert "random weights" not in again
    newest = Place(tmp_path).train("runs/third", "--plateau", "off", "--weights", "runs/first")
    assert "random weights" not in newest
    record = json.loads((tmp_path / "runs/third/run.json").read_text())
    assert record["weights"]["path"] == weights


def test_a_network_for_other_classes_is_not(tmp_path: Path) -> None:
    assert "random weights" not in train(tmp_path, {**paper.TASKS, "noun": 5})


def test_netgen_help_tells_the_two_steps() -> None:
    said = netgen("--help").stdout
    commands = TrainingCommands("xs")
    assert all(line in said for line in commands.lines)
