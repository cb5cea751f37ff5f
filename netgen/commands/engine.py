"""`netgen engine`: which Caffe would train."""

from __future__ import annotations

import dataclasses
import json

import click


@click.command("engine")
@click.option("--gpu", is_flag=True, help="Fail unless it can train on this machine's GPU.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(gpu: bool, as_json: bool) -> None:
    """Tell which Caffe there is and what it can do."""
    from netgen.engine import find_engine, require_gpu

    engine = find_engine()
    if gpu:
        require_gpu(engine)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(engine), default=str, indent=2))
        return
    click.echo(f"{engine.version}: {engine.program}")
    click.echo(f"built for: {'CUDA' if engine.cuda else 'the CPU only'}")
    click.echo(f"`import caffe` in this Python: {'works' if engine.pycaffe else 'fails'}")
