"""Equation (2): which blocks of the tasks add each other's shortcuts, and with which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netgen.network.blocks import Block, Place, Weight
from netgen.network.options import (
    CrossBias,
    Crossed,
    CrossFiller,
    CrossForm,
    CrossLearning,
    CrossStart,
    CrossWeight,
    Normalization,
    SelfWeight,
    Sharing,
)
from netgen.network.variants import NetworkRow, UnsuitedError, Variant

CONSTANTS = {CrossStart.RANDOM: None, CrossStart.ZERO: 0, CrossStart.ONE: 1}
# The n of sqrt(2 / n) as Caffe names it, for a blob of C numbers: (1 + C) / 2, and C.
VARIANCE_NORMS = {CrossFiller.AVERAGE: "AVERAGE", CrossFiller.CHANNELS: "FAN_OUT"}


def check_options(variant: Variant, own: Sequence[Place]) -> None:
    """Refuse options that contradict each other; `own` are the places with one block per task.

    Raises
    ------
    UnsuitedError
        A convolution of ones, which is no identity; or no projection to cross.
    ValueError
        Tasks are to cross where they have no block whose shortcut is the identity.
    """
    row = variant.row
    if (row.cross_form, row.cross_start) == (CrossForm.CONVOLUTION, CrossStart.ONE):
        raise UnsuitedError(
            f"{variant.name}: a 1 x 1 convolution of ones adds up all channels and is no identity:"
            " say cross-start=zero, or cross-form=scale"
        )
    if row.crossed is Crossed.ALL_BLOCKS and not any(place.projected for place in own):
        raise UnsuitedError(
            f"{variant.name}: no block of a task has a projection for crossed=all-blocks to cross:"
            " let the tasks branch earlier, with --reading branch=before-res5a or"
            " --beyond branch=after-res4a"
        )
    if row.cross is not CrossWeight.NONE and not crossed_places(own, row):
        raise ValueError(
            f"{variant.name}: no block of a task has the identity for its shortcut, so none is"
            " crossed: give the last stage two blocks or more, or add --beyond crossed=all-blocks"
        )


def crossed_places(own: Sequence[Place], row: NetworkRow) -> list[Place]:
    """Return the places of the tasks whose shortcuts are weighted or added (section 5.2.2)."""
    # Our reading: where a block has a projection, other tasks' inputs do not have its sum's shape.
    alike = [place for place in own if not place.projected]
    return {
        Crossed.IDENTITY_BLOCKS: alike,
        Crossed.ALL_BLOCKS: list(own),
        Crossed.FIRST_BLOCK: alike[:1],
    }[row.crossed]


def cross_residual(level: Sequence[Block], place: str, row: NetworkRow) -> list[Block]:
    """Return the tasks' blocks of one place with the terms of equation (2) in their sums."""
    weighed = [_weigh_self(block, place, row) for block in level]
    if row.cross is CrossWeight.NONE:
        return weighed
    coefficient = 1 / len(level) if row.normalization is Normalization.MEAN else 1.0
    shortcuts = {block.task: block.addends[0] for block in level}
    made: set[Weight] = set()
    crossed = []
    for block in weighed:
        others = {task: blob for task, blob in shortcuts.items() if task != block.task}
        weights = _weights(block, place, others, row)
        addends = [weight.name for weight in weights] or others.values()
        crossed.append(
            replace(
                block,
                cross=tuple(weight for weight in weights if weight not in made),
                addends=(*block.addends, *addends),
                shortcut_coefficient=coefficient,
            )
        )
        made.update(weights)  # one weight per source is made where it is first used
    return _projected_first(crossed)


def _weigh_self(block: Block, place: str, row: NetworkRow) -> Block:
    """Put a weight on a task's own shortcut, if the row has one."""
    if row.self_weight is SelfWeight.IDENTITY:
        return block
    shortcut, *rest = block.addends
    weight = Weight(f"self{place}_{block.task}", shortcut, constant=1)
    return replace(block, self_weight=weight, addends=(weight.name, *rest))


def _weights(
    block: Block, place: str, others: Mapping[str | None, str], row: NetworkRow
) -> list[Weight]:
    """Return the weights on the other tasks' shortcuts; none where these are added as they are."""
    if row.cross is not CrossWeight.SCALE:
        return []
    target = f"_{block.task}" if row.sharing is Sharing.PER_PAIR else ""
    return [
        Weight(
            f"cross{place}_{source}{target}",
            blob,
            constant=CONSTANTS[row.cross_start],
            variance_norm=VARIANCE_NORMS[row.cross_filler],
            fixed=row.cross_learning is CrossLearning.FIXED,
            bias=row.cross_bias is CrossBias.YES,
            num_output=block.shape[0] if row.cross_form is CrossForm.CONVOLUTION else None,
        )
        for source, blob in others.items()
    ]


def _projected_first(level: Sequence[Block]) -> list[Block]:
    """Let the first block make all tasks' projections: its sum waits for them."""
    made = tuple(projection for block in level for projection in block.projections)
    return [replace(block, projections=made * (block is level[0])) for block in level]
