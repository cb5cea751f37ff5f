"""Which layers the boxes of Figure 4 stand for; `netgen.network` and the templates name them."""

from __future__ import annotations

from netgen.network.blocks import Block, ConvUnit, Norm
from netgen.network.residual import ClassifierHead, TaskNorm

Names = tuple[str, ...]


def unit_layers(unit: ConvUnit) -> Names:
    """Return the layers of a convolution with its normalisation and ReLU."""
    return (unit.name, *_norm(unit.norm), *_given(unit.relu))


def block_layers(block: Block) -> Names:
    """Return the layers of a block; its cross weights have wires of their own."""
    units = (*block.projections, block.branch2a, block.branch2b, block.branch2c)
    weight = (block.self_weight.name,) if block.self_weight else ()
    inner = (name for unit in units for name in unit_layers(unit))
    return (*inner, *weight, block.name, *_given(block.relu))


def norm_layers(norm: TaskNorm) -> Names:
    """Return the layers of a task's normalisation after the branching block."""
    return (*_norm(norm.norm), norm.relu)


def head_layers(head: ClassifierHead) -> Names:
    """Return the layers of a head that both train_val and deploy have."""
    return (head.pool, f"fc_{head.task}")


def _norm(norm: Norm) -> Names:
    return _given(norm.batch_norm, norm.scale)


def _given(*names: str | None) -> Names:
    return tuple(name for name in names if name)
