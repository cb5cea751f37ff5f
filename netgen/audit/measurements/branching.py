"""Section 4: where and how the tasks part, measured on the parsed prototxt."""

from __future__ import annotations

from netgen import paper
from netgen.audit.measurements.measurement import Context, Found, measurement
from netgen.audit.measurements.parsed_networks import (
    ANY_CARD,
    MULTITASK,
    TASKS,
    cost,
    emit,
    emitted,
    of_type,
    parameters_of,
)
from netgen.audit.measurements.table_1 import FILES, blocks, height_and_width, words
from netgen.network.options import Branch
from netgen.network.variants import find, read_as
from netgen.system.text import GIB


@measurement
def tasks(_: Context) -> Found:
    """How many tasks the multitask networks solve."""
    counts = {len(of_type("SoftmaxWithLoss", emitted(name).layers())) for name in MULTITASK}
    return Found(", ".join(TASKS), f"layers loss_* of {FILES}", tuple(counts))


@measurement
def moved_normalisation(_: Context) -> Found:
    """Whether a BatchNorm, a Scale and a ReLU a task follow the branching sum, and none before."""
    wrong = [name for name in MULTITASK if not _moved(name)]
    return Found(
        "a BatchNorm, Scale and ReLU a task; none left inside res5a",
        f"layers bn5a_*, scale5a_*, res5a_relu_* of {FILES}; readings, moved_norm",
        holds=not wrong,
        proves=False,
    )


def _moved(network: str) -> bool:
    layers = emitted(network).layers()
    after = all(
        [layer.type for layer in layers if list(layer.top) == [f"res5a_{task}"]]
        == ["BatchNorm", "Scale", "ReLU"]
        for task in TASKS
    )
    inside = {"res5a", "res5a_branch1", "res5a_branch2c"}
    return after and {y.type for y in layers if set(y.top) & inside} == {"Convolution", "Eltwise"}


@measurement
def one_head_a_task(_: Context) -> Found:
    """Whether every task has one pool, classifier and loss."""
    kinds = ("InnerProduct", "SoftmaxWithLoss")
    counts = {len(of_type(kind, emitted(n).layers())) for n in MULTITASK for kind in kinds}
    return Found(", ".join(f"fc_{t}" for t in TASKS), f"layers of {FILES}", holds=counts == {3})


@measurement
def memory_of_branches(_: Context) -> Found:
    """Training memory with the branch before and after res5a."""
    earlier = emit(read_as(find("xs", TASKS), "branch", "before-res5a"), ANY_CARD).cost().memory
    ours = cost("xs").memory
    return Found(
        f"{earlier.total / GIB:.2f} GiB before res5a, {ours.total / GIB:.2f} after",
        "`netgen count` of both; readings, branch",
        holds=earlier.total > ours.total,
        proves=False,  # estimates, of a CPU's build
    )


@measurement
def own_blocks(_: Context) -> Found:
    """How many blocks of the last stage a task has to itself, against Table 2's count."""
    own = {len([b for b in blocks("x0", "5") if b.name.endswith(f"_{t}")]) for t in TASKS}
    shared = len([b for b in blocks("x0", "5") if "_" not in b.name])
    unshared = parameters_of(read_as(find("x0", TASKS), "branch", "before-res5a"))
    drawn, ours = unshared / 1e6, cost("x0").parameters / 1e6
    agrees = f"{ours:.2f}" == paper.TABLE_2_PARAMETERS["x0"] != f"{drawn:.2f}"
    return Found(
        f"{words(tuple(own))} of their own after {shared} shared",
        "layers res5* of models/x0/train_val.prototxt; readings, branch",
        tuple(own),
        fits=f"three a task give {drawn:.2f} M, with res5a shared {ours:.2f} M as in Table 2"
        if agrees
        else "",
    )


@measurement
def branching_point(_: Context) -> Found:
    """Find the block after which the tasks part, and the first with 7 x 7 outputs."""
    last = [b.name for b in blocks("xs") if "_" not in b.name][-1]
    reduced = next(b.name for b in blocks("xs") if height_and_width(b, "xs") == (7, 7))
    other = Branch.BEFORE_RES5A.meaning
    return Found(
        f"after {last}; the sizes reduce to 7 x 7 in {reduced}",
        f"models/xs/train_val.prototxt; readings, branch ({other})",
        holds=last == reduced == "res5a",
    )
