"""Equations (1), (3) and (4): shortcuts on the parsed prototxt, highways and LSTMs in NumPy."""

from __future__ import annotations

from netgen.audit.measurements.measurement import Context, Found, measurement
from netgen.audit.measurements.parsed_networks import MULTITASK, RESIDUAL, emitted, of_type
from netgen.audit.measurements.table_1 import FILES, blocks, by_name, everywhere, projections
from netgen.caffe.caffe_pb2 import EltwiseParameter, LayerParameter


@measurement
def residual_sums(_: Context) -> Found:
    """Equation (1): whether every block outside the towers adds its shortcut and its residual."""
    sums = [(n, layer) for n in RESIDUAL for layer in blocks(n) if "_" not in layer.name]
    wrong = [layer.name for name, layer in sums if not _is_equation_1(name, layer)]
    return Found(
        f"{len(sums) - len(wrong)} of {len(sums)} sums in six networks",
        f"Eltwise layers res* of {FILES}",
        holds=not wrong,
    )


def _is_equation_1(network: str, layer: LayerParameter) -> bool:
    first = layer.name.endswith("a")
    before = f"{layer.name[:-1]}{chr(ord(layer.name[-1]) - 1)}"
    expected = [f"{layer.name}_branch1" if first else before, f"{layer.name}_branch2c"]
    return list(layer.bottom) == expected and is_plain_sum(layer) and layer.name in by_name(network)


def is_plain_sum(layer: LayerParameter) -> bool:
    """Return whether a layer adds its bottoms as they are."""
    param = layer.eltwise_param
    return param.operation == EltwiseParameter.SUM and set(param.coeff) <= {1.0}


@measurement
def identity_shortcuts(_: Context) -> Found:
    """Whether shortcuts without a projection are the block's input itself."""
    wrong = [
        f"{name}: {layer.name}"
        for name in RESIDUAL
        for layer in blocks(name)
        if not layer.name.partition("_")[0].endswith("a")
        and list(layer.bottom[:1]) != [_before(layer)]
    ]
    per_net = everywhere(lambda n: (len(projections(n)),))
    return Found(
        f"all but the {per_net[0] if per_net else '?'} projections",
        f"Eltwise layers res* of {FILES}",
        holds=not wrong,
    )


def _before(layer: LayerParameter) -> str:
    place, mark, task = layer.name.partition("_")
    return f"{place[:-1]}{chr(ord(place[-1]) - 1)}{mark}{task}"


@measurement
def projection_kernels(_: Context) -> Found:
    """Kernel of the projections."""
    values = everywhere(
        lambda n: tuple({p.convolution_param.kernel_size[0] for p in projections(n)})
    )
    return Found("1 x 1" if values == (1,) else str(values), _projections(), values * 2)


def _projections() -> str:
    return f"layers res{{2,3,4,5}}a_branch1 of {FILES}"


@measurement
def projection_strides(_: Context) -> Found:
    """Strides of the projections."""
    values = everywhere(lambda n: tuple(p.convolution_param.stride[0] for p in projections(n)))
    others = {stride for stride in values if stride != 2}
    return Found(
        f"{len(values)} projections of stride {', '.join(f'{v:g}' for v in values)}",
        _projections(),
        (min(values, default=0),),
        fits="matching dimensions: res2a's size stays, its 64 channels become 256, which no"
        " identity can add"
        if others == {1} and len(values) == 4
        else "",
    )


@measurement
def projection_relus(_: Context) -> Found:
    """Projections that a ReLU follows before the sum."""
    values = everywhere(lambda n: (_followed(n, "ReLU"),))
    return Found(
        f"{values[0]:g} of 4 have a ReLU" if values else "differs",
        _projections(),
        holds=values == (4,),
        fits="“as in [14]”: He's projections have none" if values == (0,) else "",
    )


@measurement
def projection_norms(_: Context) -> Found:
    """Projections that a normalisation follows before the sum."""
    single = {_followed(n, "BatchNorm") for n in RESIDUAL if n not in MULTITASK}
    multi = {_followed(n, "BatchNorm") for n in MULTITASK}
    return Found(
        f"{_one(single)} of 4 in ResNet-50, {_one(multi)} of 4 in multitask networks",
        f"{_projections()}; readings, moved_norm",
        holds=single == multi == {4},
        fits="section 4: res5a's is moved outside, one a task"
        if (single, multi) == ({4}, {3})
        else "",
    )


def _one(values: set[int]) -> str:
    return " or ".join(map(str, sorted(values)))


def _followed(network: str, kind: str) -> int:
    tops = {top for layer in of_type(kind, emitted(network).layers()) for top in layer.top}
    return sum(layer.top[0] in tops for layer in projections(network))


# ---- Equations (3) and (4) in NumPy: what is left of a highway and of an LSTM without gates -----

WIDTH, EXAMPLES = 16, 1000


@measurement
def highway(_: Context) -> Found:
    """Equation (3), y = H(x) T(x) + x C(x), with T = C = 1, less H(x) + x: equation (1)."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((EXAMPLES, WIDTH)), rng.standard_normal((WIDTH, WIDTH))
    h = np.maximum(x @ w, 0)
    gates = np.ones_like(x)
    difference = np.abs((h * gates + x * gates) - (h + x)).max()
    return Found(
        f"differs from equation (1) by {difference:g}", "NumPy, 1,000 random x, both gates 1",
        holds=bool(difference == 0),
    )  # fmt: skip


@measurement
def lstm(_: Context) -> Found:
    """Equation (4) with i = f = o = 1, no h(k-1) and c(k-1) = x, less a residual layer."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((EXAMPLES, WIDTH)), rng.standard_normal((WIDTH, WIDTH))
    residual = np.tanh(x @ w)
    cell = 1.0 * x + 1.0 * residual
    hidden = 1.0 * np.tanh(cell)
    output, state = (np.abs(blob - (residual + x)).max() for blob in (hidden, cell))
    return Found(
        f"output h differs from tanh(.) + x by up to {output:.2f}, cell c by {state:g}",
        "NumPy, 1,000 random x",
        holds=bool(output == 0),
        fits="the cell state c is one; h is only up to the outer tanh" if state == 0 else "",
    )
