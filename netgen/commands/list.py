"""`netgen list`: the networks that can be built."""

from __future__ import annotations

import json
from pathlib import Path

import click

from netgen import paper
from netgen.commands.shared_options import dataset_option, load_dataset, print_table
from netgen.network.options import EXTENSIONS, READINGS
from netgen.network.variants import variants


@click.command("list")
@dataset_option
@click.option("--readings", is_flag=True, help="List the readings of what the paper leaves open.")
@click.option(
    "--beyond",
    is_flag=True,
    help="List the extensions beyond the paper, with their places in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(dataset: Path | None, readings: bool, beyond: bool, as_json: bool) -> None:
    """List the networks of Table 2 that can be built."""
    if readings and beyond:
        raise click.UsageError("give --readings or --beyond, not both")
    if dataset and (readings or beyond):
        raise click.UsageError("--dataset has networks, not readings or extensions: omit it")
    rows = _readings() if readings else _beyond() if beyond else _networks(dataset)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    print_table(rows)


def _networks(dataset: Path | None) -> list[dict[str, str]]:
    tasks = [task.name for task in load_dataset(dataset).tasks]
    return [
        {
            "variant": variant.name,
            "network": variant.row.title,
            "tasks": ", ".join(variant.tasks),
            "cross weights": variant.row.cross.value,
            "#Params (M)": "" if dataset else paper.TABLE_2_PARAMETERS[variant.name],
        }
        for variant in variants(tasks).values()
    ]


def _readings() -> list[dict[str, str]]:
    return [
        {
            "--reading": f"{name}={choice.slug}",
            "ours": "*" if choice is option.ours else "",
            "meaning": choice.meaning,
        }
        for name, option in READINGS.items()
        for choice in option.values
    ]


def _beyond() -> list[dict[str, str]]:
    return [
        {
            "--beyond": f"{name}={choice.slug}",
            "ours": "*" if choice is option.ours else "",
            "place": option.place,
            "what is built": choice.meaning,
        }
        for name, option in EXTENSIONS.items()
        for choice in option.values
    ]
