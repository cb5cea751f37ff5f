"""Sections 3 and 4 and Figure 4: shortcuts, projections, and where and how the tasks branch."""

from __future__ import annotations

from itertools import pairwise

from netgen import paper
from netgen.audit.measurements.measurement import AuditInputs, Basis, Found, measures
from netgen.audit.measurements.parsed_networks import (
    ANY_CARD,
    MULTITASK,
    RESIDUAL,
    TASKS,
    ParsedNetwork,
    emit,
    of_type,
    parameters_of,
)
from netgen.audit.measurements.table_1 import (
    FILES,
    blocks,
    everywhere,
    height_and_width,
    projections,
    words,
)
from netgen.caffe.caffe_pb2 import EltwiseParameter, LayerParameter
from netgen.network.options import Branch
from netgen.network.variants import find, read_as
from netgen.paper.claims import Measure
from netgen.system.text import gib


@measures(Measure.RESIDUAL_SUMS, Basis.OWN_FILES)
def residual_sums(inputs: AuditInputs) -> Found:
    """Equation (1): whether every block outside the towers adds its shortcut and its residual."""
    networks = map(inputs.network, RESIDUAL)
    sums = [layer for one in networks for layer in blocks(one) if "_" not in layer.name]
    wrong = [layer.name for layer in sums if not _is_equation_1(layer)]
    return Found(
        f"{len(sums) - len(wrong)} of {len(sums)} sums in six networks",
        f"Eltwise layers res* of {FILES}",
        holds=bool(sums) and not wrong,
    )


def _is_equation_1(layer: LayerParameter) -> bool:
    first = layer.name.endswith("a")
    shortcut = f"{layer.name}_branch1" if first else _before(layer)
    expected = [shortcut, f"{layer.name}_branch2c"]
    return list(layer.bottom) == expected and is_plain_sum(layer)


def is_plain_sum(layer: LayerParameter) -> bool:
    """Return whether a layer adds its bottoms as they are."""
    param = layer.eltwise_param
    return param.operation == EltwiseParameter.SUM and set(param.coeff) <= {1.0}


@measures(Measure.IDENTITY_SHORTCUTS, Basis.OWN_FILES)
def identity_shortcuts(inputs: AuditInputs) -> Found:
    """Whether shortcuts without a projection are the block's input itself."""
    wrong = [
        f"{name}: {layer.name}"
        for name in RESIDUAL
        for layer in blocks(inputs.network(name))
        if not layer.name.partition("_")[0].endswith("a")
        and list(layer.bottom[:1]) != [_before(layer)]
    ]
    per_net = everywhere(inputs, lambda n: (len(projections(n)),))
    return Found(
        f"all but the {per_net[0] if per_net else '?'} projections",
        f"Eltwise layers res* of {FILES}",
        holds=not wrong,
    )


def _before(layer: LayerParameter) -> str:
    place, mark, task = layer.name.partition("_")
    return f"{place[:-1]}{chr(ord(place[-1]) - 1)}{mark}{task}"


@measures(Measure.PROJECTION_KERNELS, Basis.OWN_FILES)
def projection_kernels(inputs: AuditInputs) -> Found:
    """Kernel of the projections."""
    values = everywhere(
        inputs, lambda n: tuple({p.convolution_param.kernel_size[0] for p in projections(n)})
    )
    return Found("1 x 1" if values == (1,) else str(values), _projections(), values * 2)


def _projections() -> str:
    return f"layers res{{2,3,4,5}}a_branch1 of {FILES}"


@measures(Measure.PROJECTION_STRIDES, Basis.OWN_FILES)
def projection_strides(inputs: AuditInputs) -> Found:
    """Strides of the projections."""
    values = everywhere(
        inputs, lambda n: tuple(p.convolution_param.stride[0] for p in projections(n))
    )
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


@measures(Measure.PROJECTION_RELUS, Basis.OWN_FILES)
def projection_relus(inputs: AuditInputs) -> Found:
    """Projections that a ReLU follows before the sum."""
    values = everywhere(inputs, lambda n: (_followed(n, "ReLU"),))
    return Found(
        f"{values[0]:g} of 4 have a ReLU" if values else "differs",
        _projections(),
        holds=values == (4,),
        fits="“as in [14]”: He's projections have none" if values == (0,) else "",
    )


@measures(Measure.PROJECTION_NORMS, Basis.OWN_FILES)
def projection_norms(inputs: AuditInputs) -> Found:
    """Projections that a normalisation follows before the sum."""
    followed = {name: _followed(inputs.network(name), "BatchNorm") for name in RESIDUAL}
    multi = {followed.pop(name) for name in MULTITASK}
    single = set(followed.values())
    return Found(
        f"{_one(single)} of 4 in ResNet-50, {_one(multi)} of 4 in multitask networks",
        f"{_projections()}; readings, moved_norm",
        holds=single == multi == {4},
        fits="section 4: res5a's is moved outside, one per task"
        if (single, multi) == ({4}, {3})
        else "",
    )


def _one(values: set[int]) -> str:
    return " or ".join(map(str, sorted(values)))


def _followed(network: ParsedNetwork, kind: str) -> int:
    tops = {top for layer in of_type(kind, network.layers()) for top in layer.top}
    return sum(layer.top[0] in tops for layer in projections(network))


# ---- section 4: where and how the tasks branch --------------------------------------------------


@measures(Measure.TASKS, Basis.OWN_FILES)
def tasks(inputs: AuditInputs) -> Found:
    """How many tasks the multitask networks solve."""
    networks = map(inputs.network, MULTITASK)
    losses = [of_type("SoftmaxWithLoss", one.layers()) for one in networks]
    names = dict.fromkeys(layer.name.removeprefix("loss_") for found in losses for layer in found)
    counts = {len(found) for found in losses}
    return Found(", ".join(names), f"layers loss_* of {FILES}", tuple(counts))


@measures(Measure.MOVED_NORMALISATION, Basis.ALLOWED)
def moved_normalisation(inputs: AuditInputs) -> Found:
    """Whether one BatchNorm, Scale and ReLU per task follow the branching sum, and none before."""
    wrong = [name for name in MULTITASK if not _moved(inputs.network(name))]
    return Found(
        f"one BatchNorm, Scale and ReLU per task and none left inside res5a, in"
        f" {len(MULTITASK) - len(wrong)} of {len(MULTITASK)} networks",
        f"layers bn5a_*, scale5a_*, res5a_relu_* of {FILES}; readings, moved_norm",
        holds=not wrong,
    )


def _moved(network: ParsedNetwork) -> bool:
    layers = network.layers()
    after = all(
        [layer.type for layer in layers if list(layer.top) == [f"res5a_{task}"]]
        == ["BatchNorm", "Scale", "ReLU"]
        for task in TASKS
    )
    inside = {"res5a", "res5a_branch1", "res5a_branch2c"}
    return after and {y.type for y in layers if set(y.top) & inside} == {"Convolution", "Eltwise"}


@measures(Measure.ONE_HEAD_A_TASK, Basis.OWN_FILES)
def one_head_a_task(inputs: AuditInputs) -> Found:
    """Whether every task has one pool, classifier and loss."""
    kinds = ("InnerProduct", "SoftmaxWithLoss")
    networks = [inputs.network(name) for name in MULTITASK]
    found = [[y.name for y in of_type(kind, one.layers())] for one in networks for kind in kinds]
    heads = ", ".join(dict.fromkeys(name for names in found[::2] for name in names))
    return Found(heads, f"layers of {FILES}", holds={*map(len, found)} == {len(TASKS)})


@measures(Measure.MEMORY_OF_BRANCHES, Basis.ALLOWED)  # estimates, of a CPU's build
def memory_of_branches(inputs: AuditInputs) -> Found:
    """Training memory with the branch before and after res5a."""
    earlier = emit(read_as(find("xs", TASKS), "branch", "before-res5a"), ANY_CARD).cost().memory
    ours = inputs.network("xs").cost().memory
    return Found(
        f"{gib(earlier.total):.2f} GiB before res5a, {gib(ours.total):.2f} after",
        "`netgen count --variant xs --reading branch=before-res5a`, `netgen count --variant xs`;"
        " readings, branch",
        holds=earlier.total > ours.total,
    )


@measures(Measure.OWN_BLOCKS, Basis.OWN_FILES)
def own_blocks(inputs: AuditInputs) -> Found:
    """Blocks of the last stage that each task has, compared with Table 2's count."""
    network = inputs.network("x0")
    last = blocks(network, "5")
    own = {len([block for block in last if block.name.endswith(f"_{t}")]) for t in TASKS}
    shared = len([block for block in last if "_" not in block.name])
    unshared = parameters_of(read_as(find("x0", TASKS), "branch", "before-res5a"))
    drawn, ours = unshared / 1e6, network.cost().parameters / 1e6
    agrees = f"{ours:.2f}" == paper.TABLE_2_PARAMETERS["x0"] != f"{drawn:.2f}"
    return Found(
        f"{words(tuple(own))} of their own after {shared} shared",
        "layers res5* of models/x0/train_val.prototxt; readings, branch",
        tuple(own),
        fits=f"three per task give {drawn:.2f} M, with res5a shared {ours:.2f} M as in Table 2"
        if agrees
        else "",
    )


@measures(Measure.BRANCHING_POINT, Basis.OWN_FILES)
def branching_point(inputs: AuditInputs) -> Found:
    """Find the block after which the tasks branch, and the last that reduces the size."""
    network = inputs.network("xs")
    found = blocks(network)
    last = [block.name for block in found if "_" not in block.name][-1]
    sizes = {block.name: height_and_width(network, block) for block in found}
    reduced = [name for before, name in pairwise(sizes) if sizes[name] != sizes[before]][-1]
    size = " x ".join(f"{side:g}" for side in sizes[reduced])
    other = Branch.BEFORE_RES5A.meaning
    return Found(
        f"after {last}; the sizes reduce to {size} in {reduced}",
        f"models/xs/train_val.prototxt; readings, branch ({other})",
        holds=last == reduced == "res5a",
    )
