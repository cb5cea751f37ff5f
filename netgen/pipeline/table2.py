"""Table 2: the commands that each of its networks needs, and the measured and printed values.

The files that a command writes show that it is done, so the table can be made in parts, on several
machines, and resumed: `netgen build` writes models/NAME, `netgen init` the initial weights in it,
`netgen train` runs/NAME, and `netgen eval` results/NAME.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import NetCost, count
from netgen.evaluation.results import Accuracy, ResultError, read_result
from netgen.network.build import paper_prototxt
from netgen.network.dataset import MTVSO
from netgen.network.variants import Variant, find
from netgen.paper import TABLE_2, Accuracies, Recipe
from netgen.paper.implied import chance
from netgen.system.text import gib
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder
from netgen.training.state import COMPLETED

# The dataset as `netgen data mtvso` wrote it: with the class names, and with as many images as were
# left to be had; the paper's own counts are `MTVSO`'s.
DATASET = Path(MTVSO.train.images).parent.parent / "dataset.toml"


@dataclass(frozen=True)
class Table2Inputs:
    """The inputs of the commands, in addition to the folders that they share.

    Attributes
    ----------
    weights
        The folder of the published caffemodels.
    classes
        The names of DeepSentiBank's outputs, one per line.
    gpu
        The GPU for training and evaluation. None: training uses the solver's mode, evaluation the
        CPU.
    on_cpu
        Whether networks that are still to be built are to be trained on the CPU.
    """

    weights: Path
    classes: Path
    gpu: int | None = None
    on_cpu: bool = False

    def published(self, variant: Variant) -> Path:
        """Return the caffemodel that a network starts from."""
        return self.weights / variant.row.weights


@dataclass(frozen=True)
class Step:
    """A command: its words, whether it is done, and the files that it needs the user to provide."""

    words: tuple[str, ...]
    done: bool
    needs: tuple[Path, ...] = ()


def networks(names: Iterable[str] = ()) -> list[Variant]:
    """Return the networks of Table 2 in its order, or those of these names.

    Raises
    ------
    ValueError
        A name is not that of a network.
    """
    known = dict.fromkeys(row.variant for row in TABLE_2 if row.network != "Chance")
    return [find(name, list(paper.TASKS)) for name in (tuple(names) or known)]


def steps(variant: Variant, inputs: Table2Inputs) -> list[Step]:
    """Return the commands of a network, in order; all are done once there is a result."""
    name = variant.name
    result = result_file(name)
    evaluated = result.exists()
    folder, run = Path("models") / name, Path("runs") / name
    initial = folder / "initial.caffemodel"
    built = all(path.exists() for path in _built_files(variant, folder))
    dataset = ("--variant", name, "--dataset", str(DATASET))
    mode = ("--solver-mode", "cpu") if inputs.on_cpu else ()
    found = [Step(("build", *dataset, *mode), evaluated or built, (DATASET,))]
    gpu = () if inputs.gpu is None else ("--gpu", str(inputs.gpu))
    evaluate = ("eval", *dataset, "--out", str(result), *gpu)
    published, train, test = inputs.published(variant), MTVSO.train.images, MTVSO.test.images
    if not variant.row.is_trained:
        words = (*evaluate, "--weights", str(published), "--classes", str(inputs.classes))
        return [*found, Step(words, evaluated, (published, inputs.classes, DATASET, Path(test)))]
    begin = ("train", "--variant", name, "--weights", str(initial), *gpu)
    resume = ("train", "--variant", name, "--resume")
    trained, last = _training(run)
    return [
        *found,
        Step(
            ("init", "--variant", name, "--from", str(published)),
            evaluated or trained or initial.exists(),
            (published,),
        ),
        Step(
            resume if RunFolder(run).record.exists() else begin,
            evaluated or trained,
            (Path(train), Path(test)),
        ),
        Step((*evaluate, "--weights", str(last)), evaluated, (DATASET, Path(test))),
    ]


def result_file(name: str) -> Path:
    """Return where a network's result is."""
    return Path("results") / f"{name}.json"


def _built_files(variant: Variant, folder: Path) -> Iterator[Path]:
    yield folder / "deploy.prototxt"
    if variant.row.is_trained:
        yield folder / "train_val.prototxt"
        yield Path("solvers") / f"{variant.name}.prototxt"


def _training(run: Path) -> tuple[bool, Path]:
    """Return whether a training is complete, and its last snapshot.

    Not the best one, because it was chosen by the images that it would then be tested on.
    """
    ended, last = False, "snapshots/LAST.caffemodel"
    for entry in read_journal(RunFolder(run).journal):
        ended = entry["event"] == "end" and entry["why"] in COMPLETED
        last = entry["model"] if entry["event"] == "snapshot" else last
    return ended, run / last


# ---- the table ----------------------------------------------------------------------------------


def rows(names: Iterable[str] = ()) -> list[dict[str, str]]:
    """Return Table 2's rows, by column: the printed values, each with the one measured so far.

    Parameters are in millions, accuracies in percent. Two columns are not in the paper:
    multiply-adds per image, in billions, and the estimated memory of training at the paper's batch
    size (of testing, for a network that is not trained), in GiB.

    Raises
    ------
    ValueError
        A result is damaged, or is of another network or dataset.
    """
    chosen = set(names)
    return [_row(row) for row in TABLE_2 if not chosen or row.variant in chosen]


def _row(row: Accuracies) -> dict[str, str]:
    top1, top5 = _measured(row)
    parameters, work, memory = ("", "", "")
    if row.network != "Chance":
        cost = _cost(row.variant)
        parameters = f"{cost.parameters / 1e6:.2f}"
        work = f"{cost.multiply_adds_per_image / 1e9:.2f}"
        memory = f"{gib(cost.memory.at(Recipe().batch_size)):.2f}"
    return {
        "network": row.network,
        "task": row.task,
        "parameters": row.parameters,
        "parameters_counted": parameters,
        "top1": row.top1,
        "top1_measured": top1,
        "top5": row.top5,
        "top5_measured": top5,
        "multiply_adds": work,
        "memory": memory,
    }


def _measured(row: Accuracies) -> tuple[str, str]:
    """Return the accuracies of a row in percent; "" where there is no result yet."""
    if row.network == "Chance":
        classes = paper.TASKS[row.task]
        return f"{100 * chance(classes, 1):.2f}", f"{100 * chance(classes, 5):.2f}"
    found = _result(row)
    return ("", "") if found is None else (_percent(found.top1.value), _percent(found.top5.value))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _result(row: Accuracies) -> Accuracy | None:
    file = result_file(row.variant)
    if not file.exists():
        return None
    result = read_result(file)
    if (result.variant, result.dataset) != (row.variant, MTVSO.name):
        raise ResultError(
            f"{file}: is of {result.variant} on {result.dataset}, but Table 2 needs {row.variant}"
            f" on {MTVSO.name}: move it elsewhere"
        )
    return result.task(row.task).accuracy


@cache
def _cost(name: str) -> NetCost:
    """Return the cost of training a network, or of testing one that is not trained."""
    net = parse_net(paper_prototxt(name))
    if not find(name, list(paper.TASKS)).row.is_trained:
        return count(net, "TEST")
    images = MTVSO.images
    return count(net, inputs={"data": (images.channels, images.height, images.width)})
