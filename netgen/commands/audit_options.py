"""What an audit of the paper's claims is given: class lists, and results of trained networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import with_options

if TYPE_CHECKING:
    from netgen.audit.measurements import AuditInputs


def _folder(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse what is neither a folder nor a file, which click lets through, before the audit."""
    if path and not path.is_dir():
        raise click.BadParameter(f"{path}: not a folder", context, parameter)
    return path


INPUTS = (
    click.option(
        "--ontology",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        callback=_folder,
        envvar="NETGEN_ONTOLOGY",
        metavar="DIR",
        help="Folder with the public class lists of section 5.1; --only 'needs data' says where"
        " they are published. A file that is not the published one is used, and named on standard"
        " error."
        "  [env: NETGEN_ONTOLOGY]",
    ),
    click.option(
        "--results",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        callback=_folder,
        metavar="DIR",
        help="Folder with results of `netgen eval --out`: measures Table 2's accuracies.",
    ),
)


def input_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets them as ``ontology`` and ``results``."""
    return with_options(command, *INPUTS)


def audit_inputs(ontology: Path | None, results: Path | None) -> AuditInputs:
    """Return the inputs of an audit; what is wrong with them is told on standard error."""
    from netgen.audit.measurements import AuditInputs

    inputs = AuditInputs(ontology, results)
    _warn_of_other_lists(inputs)
    _warn_of_useless_folders(inputs)
    return inputs


def _warn_of_other_lists(inputs: AuditInputs) -> None:
    """Name the class lists that are not the published ones on standard error."""
    from netgen.audit.measurements.public_lists import not_published, sha256_of

    for listed in not_published(inputs):
        click.echo(
            f"netgen audit: {inputs.ontology}/{listed.file} is not the published list: its SHA-256"
            f" is {sha256_of(inputs, listed)}, that of {listed.published} is {listed.sha256}. It is"
            " used, and the rows that rest on it say so; get it again to judge the paper",
            err=True,
        )


def _warn_of_useless_folders(inputs: AuditInputs) -> None:
    """Name a folder on standard error from which nothing can be read."""
    from netgen.audit.measurements.public_lists import LISTS
    from netgen.audit.measurements.training_setup import results_in

    if inputs.ontology and not any((inputs.ontology / x.file).is_file() for x in LISTS.values()):
        click.echo(
            f"netgen audit: none of the class lists is in {inputs.ontology}: give the folder above"
            f" them, the one with {LISTS['1200'].file}",
            err=True,
        )
    if inputs.results and not results_in(inputs.results):
        click.echo(
            f"netgen audit: no result of the paper's test set is in {inputs.results}: write one"
            f" there with `netgen eval --out {inputs.results}/NAME.json`",
            err=True,
        )
