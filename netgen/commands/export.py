"""`netgen export`: write a trained network for other programs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from netgen.commands.output_files import check_not_read, check_outputs
from netgen.commands.shared_options import PrintablePath
from netgen.commands.terminal_progress import show_work
from netgen.commands.trained_options import network_options, trained_network

MISSING = "{} needs the package {}, which this Python does not have: pip install {}"


@click.command("export", short_help="Write a trained network for other programs.")
@network_options
@click.option(
    "--onnx",
    "out",
    type=PrintablePath(dir_okay=False),
    metavar="FILE",
    help="Write the network and its weights as ONNX.",
)
@click.option(
    "--safetensors",
    "tensors",
    type=PrintablePath(dir_okay=False),
    metavar="FILE",
    help="Write the weights as safetensors, under Caffe's names, as examples/pytorch reads them.",
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
    out: Path | None,
    tensors: Path | None,
    with_preprocessing: bool,
    fold: bool,
) -> None:
    """Write a trained network for other programs: onnxruntime, TensorRT, OpenVINO, PyTorch, ...

    The ONNX file takes any number of images, N x 3 x 224 x 224 or as large as the network's are, in
    B, G, R with the mean subtracted (or not: --with-preprocessing), and gives each task's
    probabilities, and the scores before. `netgen predict` and `netgen eval` run it alone.

    The metadata of both files hold the mean and the names of the classes.
    """
    from netgen.evaluation.prediction import described_network
    from netgen.system.files import write_all

    if out is None and tensors is None:
        raise click.UsageError("give --onnx FILE or --safetensors FILE, or both")
    if out is None and (with_preprocessing or fold):
        raise click.UsageError("--with-preprocessing and --fold are for --onnx")
    outputs = {"--onnx": out, "--safetensors": tensors}
    check_outputs(outputs)
    for file, package, to_install in (
        (out, "onnx", "'netgen[onnx]'"),
        (tensors, "safetensors", "safetensors"),
    ):
        if file and importlib.util.find_spec(package) is None:
            raise click.ClickException(MISSING.format(file, package, to_install))
    trained = trained_network(weights, variant, None, net)
    if trained.exported:
        raise click.UsageError(f"{weights}: exported already: give the caffemodel it was made from")
    check_not_read(outputs, trained.files)
    if described := trained.description:  # which goes into the files
        described_network(trained.network, described)
    contents: dict[Path, bytes] = {}
    told = []
    with show_work(f"reading {weights}"):
        if tensors:
            from netgen.weights.outgoing.safetensors_file import safetensors

            contents[tensors] = safetensors(trained.network, weights, trained.description)
            told.append(f"{tensors}: {len(contents[tensors]) / 2**20:.1f} MiB")
        if out:
            from netgen.weights.outgoing.onnx_file import ExportOptions, onnx_file

            options = ExportOptions(fold=fold, preprocessing=with_preprocessing)
            made = onnx_file(trained.network, weights, trained.description, options)
            contents[out] = made.content
            told.append(f"{out}: {len(made.content) / 2**20:.1f} MiB, {made.operators} operators")
            told.append(f"inputs: {', '.join(made.inputs)}; outputs: {', '.join(made.outputs)}")
    write_all(contents)
    for line in told:
        click.echo(line)
