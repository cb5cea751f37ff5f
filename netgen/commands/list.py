"""`netgen list`: the networks that can be built."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import click

from netgen import paper
from netgen.commands.shared_options import dataset_option, load_dataset, print_table
from netgen.network.variants import EXTENSIONS, READINGS, Row, variants


@click.command("list")
@dataset_option
@click.option("--readings", is_flag=True, help="List the readings of what the paper leaves open.")
@click.option(
    "--beyond", is_flag=True, help="List what goes beyond the paper, and its place there."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(dataset: Path | None, readings: bool, beyond: bool, as_json: bool) -> None:
    """List the networks of Table 2 that can be built."""
    if readings and beyond:
        raise click.UsageError("say --readings or --beyond: they are two lists")
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
    defaults = {field.name: field.default for field in fields(Row)}
    return [
        {
            "--reading": f"{field.replace('_', '-')}={reading.slug}",
            "ours": "*" if reading is defaults[field] else "",
            "meaning": reading.meaning,
        }
        for field, readings in READINGS.items()
        for reading in readings
    ]


def _beyond() -> list[dict[str, str]]:
    return [
        {
            "--beyond": f"{field.replace('_', '-')}={choice.slug}",
            "ours": "*" if choice is extension.values[0] else "",
            "place": extension.place,
            "what is built": choice.meaning,
        }
        for field, extension in EXTENSIONS.items()
        for choice in extension.values
    ]
