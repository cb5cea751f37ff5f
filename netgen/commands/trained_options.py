"""Options that say which trained network runs, and on what; most is found beside its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.shared_options import (
    DATASET_TOML,
    find_variant,
    load_dataset,
    variant_option,
    with_options,
)
from netgen.network.variants import Variant

if TYPE_CHECKING:
    from netgen.evaluation.scoring import EngineName
    from netgen.network.dataset import Dataset
    from netgen.network.description import Description

Command = Callable[..., Any]
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


def newest_of_run(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Return what `caffemodel_of` does, for an option that may be omitted."""
    return None if path is None else caffemodel_of(path)


def caffemodel_of(path: Path) -> Path:
    """Return the caffemodel: of a run's folder, its newest whole snapshot.

    Not its best one, because the test images chose it. Of the folder of a network that `caffe
    train` trained, it is the snapshot with the highest number.

    Raises
    ------
    click.BadParameter
        It is not there, a folder without a snapshot, or the state of a training.
    """
    if not path.exists():
        raise click.BadParameter(
            f"{path} does not exist: name a caffemodel, or the folder that `netgen train` printed"
            " at its end"
        )
    if not path.is_dir():
        _check_no_state(path)
        return path
    from netgen.training.run_folder import RunFolder
    from netgen.training.snapshots import newest_of_caffe, newest_whole

    folder = RunFolder(path)
    snapshot = newest_whole(folder.snapshots, lambda message: click.echo(message, err=True))
    if snapshot is not None:
        return snapshot.model
    found = None if folder.record.exists() else newest_of_caffe(folder.snapshots)
    if found is None:
        raise click.BadParameter(
            f"{path}: a folder without a snapshot of a training: name the folder that `netgen"
            " train` printed at its end, or a caffemodel"
        )
    return found


def _check_no_state(file: Path) -> None:
    """Refuse a solverstate, which lies beside the caffemodel of the same iteration."""
    from netgen.caffe.caffemodel import model_of_state

    model = model_of_state(file)
    if model is None:
        return
    beside = (
        f"{model}, beside it"
        if model.exists()
        else f"the caffemodel of its iteration, {model.name}"
    )
    raise click.BadParameter(f"{file}: the state of a training, not its weights: name {beside}")


WEIGHTS = click.option(
    "--weights",
    type=click.Path(path_type=Path),
    callback=newest_of_run,
    required=True,
    metavar="FILE|RUN",
    help="A caffemodel, or the folder of a training: its newest snapshot. Or what `netgen export"
    " --onnx` wrote: the network, its weights and its classes in one file.",
)
VARIANT = variant_option(
    help="The network: see `netgen list`.  [default: that of the deploy.json beside"
    " the weights, or a folder above]",
)
DATASET = click.option(
    "--dataset",
    type=DATASET_TOML,
    metavar="FILE",
    help="A dataset.toml, or its folder.  [default: as the deploy.json says, else the paper's"
    " dataset]",
)
NET = click.option(
    "--net",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The network's deploy prototxt.  [default: that beside the deploy.json, or"
    " models/NAME/deploy.prototxt]",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["caffe", "opencv", "onnx"]),
    help="What runs the network; OpenCV and onnxruntime need no Caffe and no GPU.  [default: caffe;"
    " onnx for an exported file]",
)
GPU = click.option(
    "--gpu",
    type=click.IntRange(min=0),
    metavar="N",
    help="Run Caffe on this GPU.  [default: on the CPU]",
)


def network_options(command: Command) -> Command:
    """Add to a command the options that say which trained network it is about."""
    return with_options(command, WEIGHTS, VARIANT, NET)


def trained_network_options(command: Command) -> Command:
    """Add to a command the options that say which network runs, and on what."""
    return with_options(command, WEIGHTS, VARIANT, DATASET, NET, ENGINE, GPU)


@dataclass(frozen=True)
class TrainedNetwork:
    """Which network the options name: its prototxt, its weights and its variant's name.

    `description` is what was found beside it or in it, None where there is none. `dataset` is the
    file that was given. `exported`: all of it is one ONNX file; `subtracts`: which subtracts the
    mean itself.
    """

    network: Path
    weights: Path
    variant: str
    description: Description | None
    dataset: Path | None
    exported: bool = False
    subtracts: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that say what it is and what it weighs."""
        from netgen.network.description import FILE

        return (self.network, self.weights, self.network.with_name(FILE))

    @property
    def tested_file(self) -> Path | None:
        """The dataset.toml that was given, else that of the description; None for the paper's."""
        if self.dataset is None and self.description and self.description.file:
            return Path(self.description.file)
        return self.dataset

    @property
    def mean(self) -> tuple[float, ...] | None:
        """What is to be subtracted from its images; None where no description says it."""
        if self.description is None:
            return None
        mean = self.description.images.mean
        return (0.0,) * len(mean) if self.subtracts else mean

    def engine(self, given: EngineName | None) -> EngineName:
        """Return the engine that was given, or the one that runs such a network.

        Raises
        ------
        click.UsageError
            Another engine than onnxruntime for an exported network.
        """
        if self.exported and given not in (None, "onnx"):
            raise click.UsageError(
                f"{self.network}: an exported network, which onnxruntime runs: omit --engine"
            )
        return given or ("onnx" if self.exported else "caffe")

    def chosen(self, data: Dataset) -> Variant:
        """Return the variant for a dataset."""
        return find_variant(self.variant, data)

    def tested_on(self) -> Dataset:
        """Return the dataset that was given, else that of the description, else the paper's."""
        file, said = self.tested_file, self.description
        papers = {task.name for task in load_dataset(None).tasks}
        if file is None and said and not papers.issuperset(said.tasks):
            raise click.UsageError(
                f"the network was made for {said.dataset}, and no file of that is named beside it:"
                " name its dataset.toml with --dataset"
            )
        if file and file != self.dataset and not file.is_file():
            raise click.UsageError(
                f"the network was made for {file}, which is not here: name a dataset.toml with"
                " --dataset"
            )
        return self._loaded(file)

    def described(self) -> Description:
        """Return what the network takes and gives: as the dataset that was given says, if any."""
        from netgen.network.description import describe

        if self.description and self.dataset is None:
            return self.description
        data = self._loaded(self.dataset)
        return describe(self.chosen(data), data, self.dataset)

    def _loaded(self, file: Path | None) -> Dataset:
        """Return a dataset, none of whose classes is another output of the network."""
        from netgen.network.description import check_same_classes

        data = load_dataset(file)
        if self.description:
            check_same_classes(self.description, data)
        return data


def trained_network(
    weights: Path, variant: str | None, dataset: Path | None, net: Path | None
) -> TrainedNetwork:
    """Return the network that the options name, or that the files beside the weights describe.

    Raises
    ------
    click.UsageError
        Neither says which it is, or they contradict each other.
    """
    from netgen.network.description import FILE, description_in

    if exported := _exported(weights, variant, dataset, net):
        return exported
    beside = (net.parent,) if net else (weights.parent, weights.parent.parent)
    found = description_in(*beside)
    if found is None and net is None and variant:
        found = description_in(Path("models") / variant)
    description = found[1] if found else None
    name = variant or (description.variant if description else None)
    if name is None:
        raise click.UsageError(
            f"no deploy.json beside {net or weights} says which network it is: give --variant NAME"
            " (`netgen list`), --dataset FILE, and --net FILE if it is not in models/NAME"
        )
    if description and description.variant != name:
        raise _contradicted(f"--variant {name}", description.variant, name)
    own = description_in(weights.parent, weights.parent.parent) if net else None
    if own and own[1].variant != name:
        raise click.UsageError(
            f"{weights} is of {own[1].variant}, but {net} is {name}: omit --net, or name"
            f" {name}'s own weights"
        )
    network = net or (found[0] if found else Path("models") / name) / "deploy.prototxt"
    said = f"--variant {name}" if variant else f"{found and found[0] / FILE} says {name}"
    _check_network(network, name, said)
    return TrainedNetwork(network, weights, name, description, dataset)


def _exported(
    weights: Path, variant: str | None, dataset: Path | None, net: Path | None
) -> TrainedNetwork | None:
    """Return the network of an exported file; None for a caffemodel."""
    from netgen.evaluation.exported import is_onnx, read_exported

    if not is_onnx(weights):
        return None
    if net is not None:
        raise click.UsageError(f"{weights}: the network is in it: omit --net")
    found = read_exported(weights)
    name = found.description.variant
    if variant not in (None, name):
        raise _contradicted(f"--variant {variant}", name, str(variant))
    return TrainedNetwork(weights, weights, name, found.description, dataset, True, found.subtracts)


def _contradicted(said: str, other: str, name: str) -> click.UsageError:
    omit = "omit --variant, or " if said.startswith("--variant") else ""
    return click.UsageError(f"{said}, but the network is {other}: {omit}name {name}'s own files")


def _check_network(file: Path, variant: str, said: str) -> None:
    """Check that there is a prototxt, and that its title is not that of another network.

    `said` is what names the variant.
    """
    from netgen.caffe.schema import read_net
    from netgen.network.description import other_network

    if not file.is_file():
        raise click.BadParameter(
            f"{file} does not exist: name the deploy.prototxt that `netgen build` wrote for these"
            " weights",
            param_hint="--net",
        )
    other = other_network(read_net(file).name, variant)
    if other:
        raise _contradicted(said, other, variant)
