"""Turn images and labels into aligned LMDBs and a ``dataset.toml``.

The steps of an image, with their modules:

1. **A source lists it**, with a label per task (`image_source.ImageSource`): `class_folders`,
   `csv_file` and `mtvso` find files with `image_files` and name classes with `class_lists`;
   `cifar100` (by `python2_pickle`) and `fashion_mnist` read published datasets.
2. **It is scanned** (`scanning`): by `workers`, threads or a Dask cluster, `reading` loads it, and
   `images` and `image_headers` check it. The result is a row of the `ledger`.
3. **It gets its place** (`planning`): `duplicates` finds images that count as the same,
   `splitting` draws train and test, and the disk space is estimated. What is the same for certain
   is known after step 5 only; where that changes the plan, step 5 is repeated.
4. **It is decoded and resized** (`images.decode`) and becomes a Datum (`datums`).
5. **It is written** (`writing`) into the LMDBs (`storage`); `listings` says which record it is.

`convert` runs the five for the options in `request`; `staging` makes the folder appear completely
or not at all, and `resuming` decides what of an interrupted run is used again. `verify` (with
`verify_images`) checks a finished dataset; `photographs` reads others as its images were read;
`criteria` chooses the paper's classes (section 5.1).
"""

__all__ = [
    "cifar100",
    "class_folders",
    "convert",
    "criteria",
    "csv_file",
    "fashion_conditions",
    "fashion_mnist",
    "image_source",
    "images",
    "listings",
    "mtvso",
    "photographs",
    "planning",
    "request",
    "resampled",
    "splitting",
    "staging",
    "verify",
]
