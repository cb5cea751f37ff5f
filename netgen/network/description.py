"""What a network takes and gives, kept beside it as ``deploy.json``.

Weights and ``deploy.prototxt`` do not say which network they are of, how a photograph becomes the
network's input, or what its outputs are called. `netgen build` writes that beside
``deploy.prototxt``; `netgen train` copies both into the run's folder, so that a folder that was
trained elsewhere is enough to predict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from netgen.network.dataset import Dataset, Images, Task, class_names, read_dataset
from netgen.network.variants import NETWORKS, Variant, find
from netgen.system.json_files import JsonError, read_json
from netgen.system.text import check_name

FILE = "deploy.json"
VERSION: Literal[1] = (
    1  # of the file's form; increase it when a field changes its meaning or is removed
)


class DescriptionError(ValueError):
    """A ``deploy.json`` that cannot be used; the message says what to do."""


class Outputs(Struct, frozen=True, forbid_unknown_fields=True):
    """A task's outputs: how many classes, and their names in label order where they are known."""

    task: str
    classes: int
    names: tuple[str, ...] | None

    def __post_init__(self) -> None:
        if self.names is not None and len(self.names) != self.classes:
            raise ValueError(
                f"{len(self.names)} names for the {self.classes} classes of {self.task!r}"
            )
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError(f"a class of {self.task!r} is named twice")


class Description(Struct, frozen=True, forbid_unknown_fields=True):
    """What a network takes and gives.

    Attributes
    ----------
    version
        Of the file's form: `VERSION`.
    variant
        As in `netgen list`.
    dataset, file
        The name of the dataset that it was built for, and its ``dataset.toml`` as it was given;
        None for the paper's.
    images
        How a photograph becomes its input.
    outputs
        One for each of its tasks, in the dataset's order.
    """

    version: Literal[1]
    variant: str
    dataset: str
    file: str | None
    images: Images
    outputs: Annotated[tuple[Outputs, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if len(set(self.tasks)) < len(self.tasks):  # one of them would be left out
            raise ValueError("a task is in outputs twice")
        mean, channels = self.images.mean, self.images.channels
        if len(mean) != channels:  # one value would be subtracted from every channel
            raise ValueError(f"images.mean has {len(mean)} values for {channels} channels")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks."""
        return tuple(each.task for each in self.outputs)


def describe(variant: Variant, dataset: Dataset, file: Path | None = None) -> Description:
    """Return the description of a network that is built for a dataset, in `file`.

    Raises
    ------
    DatasetError
        A file of class names is missing, or does not hold one name per class.
    """
    return Description(
        version=VERSION,
        variant=variant.name,
        dataset=dataset.name,
        file=None if file is None else file.as_posix(),
        images=dataset.images,
        outputs=tuple(
            _outputs(task, variant) for task in dataset.tasks if task.name in variant.tasks
        ),
    )


def _outputs(task: Task, variant: Variant) -> Outputs:
    if variant.row.outputs:  # of other classes, which include the task's
        return Outputs(task.name, variant.row.outputs, None)
    return Outputs(task.name, task.classes, _names(task))


def text_of(description: Description) -> str:
    """Return a description as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(description)).decode() + "\n"


def description_in(*folders: Path) -> tuple[Path, Description] | None:
    """Return the first of `folders` that holds a description, and that; None if none does.

    Raises
    ------
    DescriptionError
        The file cannot be read, or is not one.
    """
    for folder in folders:
        file = folder / FILE
        try:
            description = read_json(file, Description)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DescriptionError(f"{file}: {error.strerror}: make it readable") from None
        except JsonError as error:
            raise DescriptionError(
                f"{file}: not what `netgen build` writes beside deploy.prototxt ({error}): build"
                " the network again, or remove the file and give --variant, --net and --dataset"
            ) from None
        check_description(description, str(file), DescriptionError)
        return folder, description
    return None


def check_description(description: Description, where: str, error: type[ValueError]) -> None:
    """Check the names in a description that comes from outside; `where` says from where.

    Raises
    ------
    ValueError
        One has characters that are not shown, or none; of the type `error`.
    """
    names = (name for one in description.outputs for name in (one.task, *(one.names or ())))
    for name in (description.variant, description.dataset, *names):
        check_name(name, where, error)


def built_for(folder: Path, dataset: Path) -> bool:
    """Return whether the network in `folder` was built for a dataset.toml, as that is now.

    Where the dataset is not made yet, its name decides. The committed networks are of none.

    Raises
    ------
    DescriptionError, DatasetError
        A file cannot be read.
    """
    found = description_in(folder)
    if found is None or found[1].file != dataset.as_posix():
        return False
    if not dataset.exists():
        return True
    data, description = read_dataset(dataset), found[1]
    try:
        variant = find(description.variant, [task.name for task in data.tasks])
    except ValueError:  # a network of tasks that the dataset no longer has
        return False
    return describe(variant, data, dataset) == description


def trained_on(description: Description, databases: Path) -> Description:
    """Return the description of a network as it is trained, on the images in `databases`.

    The network may have been built before its dataset was made, as the committed ones are: what
    `netgen data` noted beside the databases tells how images were read, and the classes' names.
    The mean stays the one that the network was built with.
    """
    file = databases.parent.parent / "dataset.toml"
    if not file.is_file():
        return description
    data = read_dataset(file)
    known = {task.name: task for task in data.tasks}
    shape = (data.images.channels, data.images.height, data.images.width)
    ours = description.images
    if shape != (ours.channels, ours.height, ours.width):
        return description
    if any(known.get(each.task, each).classes != each.classes for each in description.outputs):
        return description
    return msgspec.structs.replace(
        description,
        dataset=data.name,
        file=file.as_posix(),
        images=msgspec.structs.replace(data.images, mean=ours.mean),
        outputs=tuple(
            Outputs(each.task, each.classes, _names(known[each.task]) or each.names)
            if each.task in known
            else each
            for each in description.outputs
        ),
    )


def _names(task: Task) -> tuple[str, ...] | None:
    names = class_names(task)
    return None if names is None else tuple(names)


def check_same_classes(description: Description, dataset: Dataset) -> None:
    """Check that no class of a dataset is another output of the network.

    Raises
    ------
    DescriptionError
        The name of one is that of another output: the network would be told as wrong where it is
        right. Names that only one of the two has are taken as other words for the same classes.
    DatasetError
        As `class_names`.
    """
    known = {task.name: task for task in dataset.tasks}
    for outputs in description.outputs:
        names = _names(known[outputs.task]) if outputs.task in known else None
        places = {name: place for place, name in enumerate(outputs.names or ())}
        for label, name in enumerate(names or ()):
            if places.get(name, label) != label:
                raise DescriptionError(
                    f"class {name!r} of task {outputs.task!r} has the number {label} in"
                    f" {dataset.name}, but is output {places[name]} of the network, as the"
                    f" {FILE} that describes it says: name the dataset that it was trained on, or"
                    " make this one again with the classes in that order"
                )


def differences(trained: Images, tested: Images) -> list[str]:
    """Return how the test images were made otherwise than those that a network was trained on."""
    words = {
        "rotate": "EXIF orientations applied",
        "lenient": "damaged images kept",
        "encoded": "images kept as",
    }
    return [
        f"{what}: {getattr(trained, name)} in training, {getattr(tested, name)} in the test images"
        for name, what in words.items()
        if getattr(trained, name) != getattr(tested, name)
    ]


def other_network(title: str, variant: str) -> str | None:
    """Return the network of Table 2 that a prototxt's `title` names, where it is not `variant`'s.

    None also for a title that none of them has. Networks of one task are named without the task.
    """
    named = next((name for name, row in NETWORKS.items() if row.title == title), None)
    if named is None or variant == named or variant.startswith(f"{named}-"):
        return None
    return named
