"""`netgen export`: write a trained network for other programs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from netgen.commands.shared_options import PrintablePath
from netgen.commands.trained_options import network_options, trained_network

MISSING = "ONNX needs the package onnx, which this Python does not have: pip install 'netgen[onnx]'"


@click.command("export", short_help="Write a trained network as ONNX, for other programs.")
@network_options
@click.option(
    "--onnx",
    "out",
    type=PrintablePath(dir_okay=False),
    required=True,
    metavar="FILE",
    help="The file to write.",
)
@click.option(
    "--with-preprocessing",
    is_flag=True,
    help="Subtract the mean in the graph: its input is then pixels, 0 to 255.",
)
@click.option("--fold", is_flag=True, help="Fold BatchNorm and Scale into the convolutions.")
def command(
    weights: Path,
    variant: str | None,
    net: Path | None,
    out: Path,
    with_preprocessing: bool,
    fold: bool,
) -> None:
    """Write a trained network as ONNX, for onnxruntime, TensorRT, OpenVINO and others.

    The file takes any number of images, N x 3 x 224 x 224 or as large as the network's are, in
    B, G, R with the mean subtracted (or not: --with-preprocessing), and gives each task's
    probabilities, and the scores before. Its metadata hold the mean and the names of the classes.
    """
    from netgen.system.files import check_writable, write_all

    check_writable(out)
    if importlib.util.find_spec("onnx") is None:
        raise click.ClickException(MISSING)
    from netgen.weights.outgoing.onnx_file import ExportOptions, onnx_model

    trained = trained_network(weights, variant, None, net)
    if trained.exported:
        raise click.UsageError(f"{weights}: exported already: give the caffemodel it was made from")
    options = ExportOptions(fold=fold, preprocessing=with_preprocessing)
    model = onnx_model(trained.network, weights, trained.description, options)
    content = model.SerializeToString()
    write_all({out: content})
    outputs = ", ".join(each.name for each in model.graph.output)
    click.echo(f"{out}: {len(content) / 2**20:.1f} MiB, {len(model.graph.node)} operators")
    click.echo(f"inputs: {', '.join(each.name for each in model.graph.input)}; outputs: {outputs}")
