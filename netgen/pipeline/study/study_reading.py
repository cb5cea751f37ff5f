"""Read a ``study.toml``: by its schema, and with every name in it standing for something."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from netgen.network.options import CrossForm, Part
from netgen.paper.claims import CLAIMS
from netgen.pipeline.study.cell_steps import row_of
from netgen.pipeline.study.study_file import (
    AnySentence,
    Choice,
    Seeds,
    Signs,
    Study,
    groups_of,
    seeds_of,
)
from netgen.pipeline.study.study_settings import (
    FILLERS,
    NAME_IN_WORDS,
    PUBLISHED,
    Settings,
    StudyError,
)
from netgen.system.toml_schema import Place, SchemaError, place_in, read_toml

Mistake = tuple[Place, str]
CONVOLUTIONS = f"cross-form={CrossForm.CONVOLUTION.slug}"


def committed(name: str) -> Path:
    """Return the study.toml of Table 2 (``table2``) or of its miniature (``miniature``).

    It is inside the package when netgen is installed, and beside it in a checkout.
    """
    package = Path(__file__).parent.parent.parent
    installed = package / "experiments"
    folder = installed if installed.is_dir() else package.parent / "experiments"
    return folder / name / "study.toml"


def read_study(file: Path) -> Study:
    """Read and check a ``study.toml``.

    Raises
    ------
    StudyError
        It is missing or damaged, has an unknown key (the message names its line, and a known one
        like it), or names a dataset, network, axis or claim that it does not have.
    """
    next_step = "name a study.toml, such as experiments/miniature/study.toml"
    try:
        study, text = read_toml(file, Study, next_step, NAME_IN_WORDS)
    except SchemaError as error:
        raise StudyError(str(error)) from None
    for path, why in _mistakes(study):
        raise StudyError(f"{place_in(file, text, path)}: {why}")
    return study


def _mistakes(study: Study) -> Iterator[Mistake]:
    """Yield the place and the description of each name that stands for nothing."""
    yield from _in_datasets(study)
    yield from _in_seeds(study)
    for path, settings in _settings(study):
        starts = [PUBLISHED, FILLERS, *study.networks]
        yield from _unknown(settings.dataset, study.datasets, "dataset", *path, "dataset")
        yield from _unknown(settings.start, starts, "network to start from", *path, "start")
    if study.choose:
        yield from _in_choice(study, study.choose)
    groups = groups_of(study)
    for name, network in study.networks.items():
        for axis in network.axes or ():
            yield from _unknown(axis, study.axes, "axis", "networks", name, "axes")
        for group in network.against:
            yield from _unknown(group, groups, "group", "networks", name, "against")
    for index, sentence in enumerate(study.sentences):
        yield from _in_sentence(study, sentence, groups, index)
    for pair in study.report.differences:
        for group in pair:
            yield from _unknown(group, groups, "group", "report", "differences")
    if study.report.images and study.report.draw is None:
        yield ("report", "images"), "they are for draw, a cell of the study: give it, or omit them"
    for name in study.report.inside:
        yield from _unknown(name, study.networks, "network", "report", "inside")
    for group in study.report.curves:
        yield from _unknown(group, groups, "group", "report", "curves")


def _settings(study: Study) -> Iterator[tuple[tuple[str, ...], Settings]]:
    """Yield every place of a study with settings, and these."""
    yield ("recipe",), study.recipe
    for name, network in study.networks.items():
        yield ("networks", name), network
    for axis, labels in study.axes.items():
        for label, settings in labels.items():
            yield ("axes", axis, label), settings
    if study.choose:
        for label, settings in study.choose.among.items():
            yield ("choose", "among", label), settings


def _unknown(
    name: str | None, known: Collection[str], what: str, *path: str | int
) -> Iterator[Mistake]:
    if name is not None and name not in known:
        yield path, f"no {what} {name!r}: choose from {', '.join(known)}"


def _in_datasets(study: Study) -> Iterator[Mistake]:
    for name, dataset in study.datasets.items():
        of = dataset.training_of
        yield from _unknown(of, study.datasets, "dataset", "datasets", name, "training-of")
        if (dataset.file is None) == (of is None) or (of and study.datasets[of].training_of):
            yield ("datasets", name), "give file, or in training-of a dataset that has one"


def _in_seeds(study: Study) -> Iterator[Mistake]:
    given: list[tuple[Place, Seeds | None]] = [(("seeds",), study.seeds)]
    given += [(("networks", name, "seeds"), each.seeds) for name, each in study.networks.items()]
    given += [(("choose", "seeds"), study.choose.seeds)] if study.choose else []
    for place, seeds in given:
        if isinstance(seeds, tuple) and len({*seeds}) < len(seeds):
            twice = next(seed for seed in seeds if seeds.count(seed) > 1)
            yield place, f"seed {twice} is there twice: give each once"


def _in_choice(study: Study, choose: Choice) -> Iterator[Mistake]:
    of = choose.dataset if isinstance(choose.dataset, dict) else {"": choose.dataset}
    for name, dataset in of.items():
        place = ("choose", "dataset", name) if name else ("choose", "dataset")
        yield from _unknown(name or None, study.datasets, "dataset", *place)
        yield from _unknown(dataset, study.datasets, "dataset", *place)
    yield from _unknown(choose.chosen, choose.among, "trial", "choose", "chosen")
    for name in choose.networks:
        yield from _unknown(name, study.networks, "network", "choose", "networks")
    deciding = {settings.dataset for path, settings in _settings(study) if path[0] != "choose"}
    if deciding & {*of.values()} or deciding == {None}:
        networks = [study.networks[name] for name in choose.networks if name in study.networks]
        given = [study.seeds if each.seeds is None else each.seeds for each in networks]
        both = {seed for each in given for seed in seeds_of(each)} & {*seeds_of(choose.seeds)}
        if both:
            what = f"seed {min(both)} would choose and decide on the same images: give other seeds,"
            yield ("choose", "seeds"), f"{what} or a dataset with training-of"


def _in_sentence(
    study: Study, sentence: AnySentence, groups: Collection[str], index: int
) -> Iterator[Mistake]:
    where = ("sentences", index)
    yield from _unknown(sentence.claim, CLAIMS, "claim of the paper's", *where, "claim")
    if not (sentence.claim or sentence.says):
        yield where, "give claim, an id of `netgen audit`, or says"
    for field in ("better", "worse"):
        yield from _unknown(getattr(sentence, field, None), groups, "group", *where, field)
    for one, other in (("better", "worse"), ("easier", "harder")):
        name = getattr(sentence, one, None)
        if name is not None and name == getattr(sentence, other):
            yield (*where, other), f"{name!r} is compared with itself: name two"
    for group in getattr(sentence, "groups", ()):
        yield from _unknown(group, groups, "group", *where, "groups")
    network = getattr(sentence, "network", None)
    yield from _unknown(network, study.networks, "network", *where, "network")
    if network in study.networks and not _has_cross_weights(study.networks[network].variant):
        what = f"{study.networks[network].variant} learns no cross weights"
        yield (*where, "network"), f"{what}: name a network of the variant xs"
    if isinstance(sentence, Signs) and CONVOLUTIONS in _beyond(study, sentence.network):
        what = f"{network} has {CONVOLUTIONS}, a weight for each pair of channels"
        yield (*where, "network"), f"{what}, but signs are of one for each channel: name another"


def _beyond(study: Study, network: str) -> set[str]:
    """Return all that a network that decides has beyond the paper, at any place."""
    given = [each for path, each in _settings(study) if path[0] in ("recipe", "axes")]
    own = [each for name, each in study.networks.items() if name == network]
    return {word for each in (*given, *own) for word in each.beyond or ()}


def _has_cross_weights(variant: str) -> bool:
    """Return whether a variant learns cross weights; True for one that is unknown, told later."""
    try:
        return row_of(variant).has(Part.CROSS_WEIGHTS)
    except StudyError:
        return True
