"""`netgen build`: networks and solvers as prototxt."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.network_options import RequestedNetwork, network_options
from netgen.commands.number_types import Finite, Iterations
from netgen.commands.shared_options import (
    PrintablePath,
    dataset_option,
    differs,
    find_variant,
    load_dataset,
    option_words,
    refuse_given,
    solver_mode_option,
    variant_option,
)
from netgen.network.dataset import Dataset
from netgen.network.options import Branch, Towers
from netgen.network.variants import UnsuitedError, Variant, variants
from netgen.paper import Recipe
from netgen.system.files import write_all

if TYPE_CHECKING:
    from netgen.network.build import BuildSpec

OF_TRAINING = {"solver_mode", *(field.name for field in fields(Recipe))}
NOT_IN_HEADERS = {"variant", "all_variants", "check"}


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add to a command one option per field of `Recipe`, in its order."""
    for field in reversed(fields(Recipe)):
        command = _recipe_option(field)(command)
    return command


def _recipe_option(field: Field[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    name = f"--{field.name.replace('_', '-')}"
    about = field.metadata
    source = about.get("printed") or f"our choice: {about['choice']}"
    if field.default is False:
        return click.option(name, is_flag=True, help=f"{about['what']} ({source}).")
    if field.default is True:
        both = f"{name}/--no-{field.name}"
        return click.option(
            both, default=True, show_default=True, help=f"{about['what']} ({source})."
        )
    if field.default == ():
        return click.option(
            name,
            type=Iterations(int(about["most"])),
            default=(),
            help=f"{about['what']} ({source}).",
        )
    default = "" if field.default is None else f"  [default: {field.default:g}]"
    whole = str(field.type).removesuffix(" | None") == "int"
    return click.option(
        name,
        type=click.IntRange(1, int(about["most"])) if whole else Finite(0, about["most"]),
        metavar="N" if whole else "X",
        default=field.default,
        help=f"{about['what']} ({source}).{default}",
    )


@click.command("build")
@variant_option(
    help="One network: a name from `netgen list`.",
)
@click.option(
    "--all",
    "all_variants",
    is_flag=True,
    help="Every network in `netgen list` that suits the dataset and the options.",
)
@dataset_option
@click.option(
    "--out",
    type=PrintablePath(file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Write DIR/models and DIR/solvers.  [default: the current folder]",
)
@click.option("--check", is_flag=True, help="Write nothing; fail, with a diff, on stale files.")
@solver_mode_option("Where Caffe trains.")
@network_options
@recipe_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    variant: str | None,
    all_variants: bool,
    dataset: Path | None,
    check: bool,
    **options: Any,
) -> None:
    """Write networks and solvers as prototxt.

    Each network gives models/NAME/train_val.prototxt, models/NAME/deploy.prototxt with deploy.json,
    which says what goes in and what comes out, and solvers/NAME.prototxt; deepsentibank, which is
    not trained, gives only deploy. Without options, the networks are the paper's.
    """
    data = load_dataset(dataset)
    chosen = _chosen(variant, all_variants, data)
    if not any(one.row.is_trained for one in chosen):
        why = f"is for training, and {chosen[0].name} is not trained here: omit it"
        refuse_given(OF_TRAINING, why)
    made = _made(chosen, lambda one: _spec(ctx, one, data, dataset, **options))
    texts = {path: text for _, files in made for path, text in files.items()}
    if check:
        _check(texts)
        return
    write_all(texts)
    for path in texts:
        if path.name != ".gitignore":
            click.echo(path.as_posix())
    last, _ = made[-1]
    if last.variant.row.is_trained:
        click.echo("\n" + "\n".join(last.training.lines), err=True)
    row = last.variant.row
    if row.is_residual and row.branch is not Branch.NEVER and len(last.variant.tasks) == 1:
        click.echo(
            "One task: it has no other to cross with. `netgen data csv` takes several", err=True
        )
    if row.towers is Towers.FROZEN:
        click.echo("Its towers are frozen: begin with weights, as `netgen init` makes", err=True)


def _made(
    chosen: list[Variant], to_spec: Callable[[Variant], BuildSpec]
) -> list[tuple[BuildSpec, dict[Path, str]]]:
    """Return each network's files; of several, unsuited ones are omitted, with a message."""
    from netgen.network.build import network_files

    made = []
    for variant in chosen:
        try:
            spec = to_spec(variant)
            made.append((spec, network_files(spec)))
        except UnsuitedError as error:
            if len(chosen) == 1:
                raise
            click.echo(f"omitted {variant.name}: {error}", err=True)
    if not made:
        raise click.ClickException("no network is left: nothing was written")
    return made


def _spec(
    ctx: click.Context,
    variant: Variant,
    dataset: Dataset,
    dataset_file: Path | None,
    *,
    out: Path,
    solver_mode: str,
    requested: RequestedNetwork,
    **recipe: Any,
) -> BuildSpec:
    from netgen.network.build import BuildSpec

    spec = BuildSpec(
        variant=requested.of(variant),
        dataset=dataset,
        backbone=requested.backbone,
        recipe=Recipe(**recipe),
        out=out,
        solver_mode="CPU" if solver_mode == "cpu" else "GPU",
        command=_command_line(ctx, variant.name),
        dataset_file=dataset_file,
    )
    _check_steps(spec)
    return spec


def _check_steps(spec: BuildSpec) -> None:
    """Refuse a drop of the rate that the training ends before."""
    last = spec.schedule.max_iter
    if spec.recipe.stepvalues and spec.recipe.stepvalues[-1] >= last:
        raise click.BadParameter(
            f"the rate would not drop before iteration {spec.recipe.stepvalues[-1]:,}: the training"
            f" has {last:,} iterations: list smaller ones, or raise --max-iter",
            param_hint="--stepvalues",
        )


def _chosen(name: str | None, all_variants: bool, dataset: Dataset) -> list[Variant]:
    if all_variants == (name is not None):
        raise click.UsageError("give --variant NAME (from `netgen list`) or --all")
    if name is None:
        return list(variants([task.name for task in dataset.tasks]).values())
    return [find_variant(name, dataset)]


def _command_line(ctx: click.Context, variant: str) -> str:
    """Return the command that makes one variant, without options at their defaults.

    The files' headers hold it, so it must not depend on how many variants were made at once.
    """
    return shlex.join(["netgen", "build", "--variant", variant, *option_words(ctx, NOT_IN_HEADERS)])


def _check(texts: dict[Path, str]) -> None:
    """Compare `texts` with the files on disk; exit 1, with a diff, when they differ."""
    stale = [path for path, text in texts.items() if differs(path, text)]
    if stale:
        raise click.ClickException(
            f"{len(stale)} of {len(texts)} files are stale: the same command without --check"
            " updates them"
        )
    click.echo(f"{len(texts)} files are up to date.")
