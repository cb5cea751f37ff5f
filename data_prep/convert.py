"""Make a dataset from a source: list, scan and plan all images, then write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from data_prep.image_source import ImageSource, SplitName
from data_prep.images import Decoding
from data_prep.ledger import Ledger
from data_prep.ledger import ledger as open_ledger
from data_prep.listings import DUPLICATES, RECORDS, REJECTS, write_lists
from data_prep.planning import DatasetPlan, check_disk_space, plan_dataset
from data_prep.reading import ImageReader
from data_prep.request import DataOptions, StageProgress
from data_prep.resuming import (
    Damaged,
    begin_writing,
    check_settings,
    is_thorough,
    start_over,
)
from data_prep.scanning import scan_source
from data_prep.staging import NEW, check_replaceable, staged
from data_prep.storage import flushing
from data_prep.workers import Workers, cluster, threads
from data_prep.writing import Sums, mean_image, mean_pixel, write_split
from netgen.network.dataset import (
    Dataset,
    Images,
    Split,
    Task,
    read_dataset,
    split_in,
    write_dataset,
)
from netgen.paper import IMAGE_SIZE

MEAN = "mean.binaryproto"
TOML = "dataset.toml"
CONTENTS = frozenset({"train", "test", "classes", TOML, MEAN, RECORDS, REJECTS, DUPLICATES})
LEDGER = "ledger.sqlite"
TOGETHER = (
    "images in different files have the same pixels, on both sides of the split: writing all"
    " databases again, with these on one side"
)


def convert(
    source: ImageSource, options: DataOptions, progress: StageProgress | None = None
) -> DatasetPlan:
    """Make the dataset that `options` ask for from `source`, completely or not at all.

    Both splits are shuffled, because Caffe reads records in order and a batch should hold every
    class; ``records.csv`` says which image is where.

    Raises
    ------
    DataError
        There are no images to use, images changed meanwhile, the disk is too small, or `out` may
        not be replaced.
    OSError
        `out` cannot be written.
    """
    address = options.scheduler
    with threads(options.jobs) if address is None else cluster(address) as workers:
        run = _Run(source, options, workers, progress or StageProgress())
        return run.plan_only() if options.dry_run else run.make()


@dataclass(frozen=True)
class _Run:
    """Makes one dataset."""

    source: ImageSource
    options: DataOptions
    workers: Workers
    progress: StageProgress

    @property
    def size(self) -> tuple[int, int]:
        return self.options.size or self.source.size or (IMAGE_SIZE, IMAGE_SIZE)

    def reader(self, ledger: Ledger) -> ImageReader:
        options = self.options
        return ImageReader(
            self.source.load,
            self.source.stamp,
            Decoding(self.size, options.lenient, options.rotate),
            options.encoded,
            perceptual=options.perceptual is not None,
            thorough=options.lenient or is_thorough(ledger),
            fingerprinting=options.dry_run,  # else they are taken while the databases are written
        )

    def plan_only(self) -> DatasetPlan:
        options = self.options
        check_replaceable(options.out, CONTENTS, options.force)
        with (
            TemporaryDirectory(prefix="netgen-") as folder,
            open_ledger(Path(folder) / LEDGER) as ledger,
        ):
            return self.plan(ledger)

    def make(self) -> DatasetPlan:
        options = self.options
        with (
            staged(
                options.out, CONTENTS, options.force, options.resume, self.progress.message
            ) as work,
            open_ledger(work / LEDGER) as ledger,
        ):
            check_settings(ledger, self.source, options)
            try:
                return self.attempt(ledger, work / NEW)
            except Damaged as found:
                start_over(ledger, found, work / NEW, self.progress.message)
            return self.attempt(ledger, work / NEW)

    def attempt(self, ledger: Ledger, new: Path) -> DatasetPlan:
        plan = self.plan(ledger)
        begin_writing(ledger, new, self.progress.message)
        check_disk_space(plan.bytes, new)
        sums = self.write_databases(ledger, plan, new)
        # Now the pixels of all images are known, and with them which images are the same.
        plan = self.plan_again(ledger)
        if begin_writing(ledger, new, self.progress.message, TOGETHER):
            sums = self.write_databases(ledger, plan, new)
        self.write_rest(ledger, plan, sums, new)
        self.progress.stage("flushing to the disk")  # as the end of `staged` does
        return plan

    def plan(self, ledger: Ledger) -> DatasetPlan:
        reader = self.reader(ledger)
        scan_source(ledger, self.source, self.options.seed, reader, self.workers, self.progress)
        return self.plan_again(ledger)

    def plan_again(self, ledger: Ledger) -> DatasetPlan:
        self.progress.stage("planning")
        return plan_dataset(ledger, self.source, self.options, self.size)

    def splits(self, plan: DatasetPlan, folder: Path) -> dict[SplitName, Split]:
        tasks = self.source.tasks
        return {
            "train": split_in((folder / "train").as_posix(), tasks, plan.train),
            "test": split_in((folder / "test").as_posix(), tasks, plan.test),
        }

    def write_databases(
        self, ledger: Ledger, plan: DatasetPlan, folder: Path
    ) -> dict[SplitName, Sums]:
        reader = self.reader(ledger)
        with flushing() as flusher:
            return {
                name: write_split(
                    ledger, name, split, plan.shape, reader, self.workers, flusher, self.progress
                )
                for name, split in self.splits(plan, folder).items()
            }

    def write_rest(
        self, ledger: Ledger, plan: DatasetPlan, sums: Mapping[SplitName, Sums], folder: Path
    ) -> None:
        tasks = self.source.tasks
        self.progress.stage("writing the lists")
        write_lists(ledger, tasks, folder)
        (folder / MEAN).write_bytes(mean_image(sums["train"], plan.train))
        options = self.options
        images = Images(
            *plan.shape,
            mean=mean_pixel(sums["train"], plan.train),
            rotate=options.rotate,
            lenient=options.lenient,
            encoded=options.encoded or "raw",
        )
        dataset = Dataset(
            name=self.source.name,
            images=images,
            tasks=_tasks(tasks, folder),
            **self.splits(plan, folder),
            duplicates="together" if plan.grouped else "as split",
        )
        write_dataset(dataset, folder / TOML)
        read_dataset(folder / TOML)  # before it replaces an older one


def _tasks(tasks: Mapping[str, tuple[str, ...]], folder: Path) -> tuple[Task, ...]:
    """Write the class names of every task, one per line in label order, and return the tasks."""
    (folder / "classes").mkdir(exist_ok=True)
    made = []
    for task, names in tasks.items():
        file = folder / "classes" / f"{task}.txt"
        file.write_text("\n".join(names) + "\n", encoding="utf-8")
        made.append(Task(task, len(names), file.as_posix()))
    return tuple(made)
