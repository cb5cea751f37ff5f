"""The rules of the normal form: what may be rewritten, and why the result is the same.

- Layers without effect are left out (a Power of 1, a Dropout of 0, a Concat of one, a ReLU of what
  is not negative), and so are Flatten and Reshape before an InnerProduct, which flattens by itself.
- Nested sums become one sum, each term with its coefficient; terms that are there twice are added.
- A Bias after a layer without one is that layer's bias.
- A Softmax and a MultinomialLogisticLoss are a SoftmaxWithLoss; an Accuracy ranks scores as it
  ranks their Softmax.
- A weighted sum of losses weighs each of them.
- A ReLU after a MAX pooling comes before it: the largest is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from netgen.audit.comparison.nodes import Edge, Node
from netgen.audit.comparison.spellings import Value
from netgen.audit.comparison.traits import Traits

# The fields with which a layer gives what it reads.
IDENTITIES: Mapping[str, Mapping[str, object]] = {
    "Dropout": {"dropout_ratio": 0.0},
    "Pooling": {"kernel_size": (1, 1), "stride": (1, 1), "pad": (0, 0)},
    "Power": {"power": 1.0, "scale": 1.0, "shift": 0.0},
    "Tile": {"tiles": 1},
}
TAKES_A_BIAS = {"Convolution", "Deconvolution", "InnerProduct", "Scale"}
RANKS = {"Accuracy", "ArgMax"}
MOST_TERMS = 64  # of a sum inside a sum: a long chain of sums would take the square of its length
NOT_NEGATIVE = {"AbsVal", "BNLL", "Exp", "Sigmoid", "Softmax"}


class Draft:
    """A graph in the making.

    Attributes
    ----------
    nodes
        Its nodes so far, by number.
    positive
        Those of them whose output is never negative.
    readers
        How often each was read at first.
    index
        The number of the node that a rule is tried on.
    """

    def __init__(self, readers: Mapping[int, int]) -> None:
        self.nodes: dict[int, Node] = {}
        self.positive: set[int] = set()
        self.readers = readers
        self.index = 0

    def source(self, edge: Edge) -> Node | None:
        """Return the node at the other end of an edge; None of a leaf."""
        return self.nodes.get(edge.source)

    def absorbed(self, node: Node) -> Node | None:
        """Return what a node reads first, where a rule may join the two; else None."""
        source = self.source(node.reads[0]) if node.reads else None
        return None if source is None or source.bound or source.weighs else source


# A rule returns what a node becomes: another node, what it passes on, or None: it does not apply.
AlgebraicRule = Callable[[Draft, Node], Node | Edge | None]


# ---- layers without effect ----------------------------------------------------------------------


def _without_effect(draft: Draft, node: Node) -> Edge | None:
    if len(node.reads) != 1 or len(node.layer.top) > 1 or node.weighs:
        return None
    test = WITHOUT_EFFECT.get(node.type)
    same = test(draft, node) if test else is_identity(node.type, node.traits)
    return node.reads[0] if same else None


def is_identity(kind: str, traits: Traits) -> bool:
    """Return whether a layer of a type gives what it reads, for what its fields say."""
    wanted = IDENTITIES.get(kind, {})
    return bool(wanted) and wanted.items() <= traits.computes.items()


def _is_of_one(_draft: Draft, _node: Node) -> bool:
    """Return that joining one blob, or cutting one into one, gives it."""
    return True


def _keeps_positive(draft: Draft, node: Node) -> bool:
    """Return whether it leaves what is not negative as it is, and reads nothing else."""
    keeps = node.type == "AbsVal" or _is_relu(node)
    return keeps and node.reads[0].source in draft.positive


def makes_no_negative(draft: Draft, node: Node) -> bool:
    """Return whether no output of a node is negative, whatever the image."""
    if node.type in NOT_NEGATIVE or _is_relu(node):
        return True
    passes = node.type in {"Pooling", "Dropout", "Concat"} or _is_sum(node)
    return passes and all(
        edge.source in draft.positive and edge.coefficient >= 0 for edge in node.reads
    )


def _is_relu(node: Node) -> bool:
    return node.type == "ReLU" and node.traits.computes.get("negative_slope") == 0


def _drops_ones(_: Draft, node: Node) -> bool:
    """Return whether a Flatten or Reshape only leaves out axes of one element, after channels."""
    known = node.bottom is not None and len(node.bottom) > 1
    return known and all(size == 1 for size in (node.bottom or ())[2:]) and _flattens(node)


def _flattens(node: Node) -> bool:
    """Return whether a layer makes (N, everything else) of its bottom."""
    computes = node.traits.computes
    if node.type == "Flatten":
        last = {-1, len(node.bottom) - 1 if node.bottom else -1}
        return computes["axis"] == 1 and computes["end_axis"] in last
    param = node.layer.reshape_param
    return node.type == "Reshape" and (*param.shape.dim,) == (0, -1) and not param.axis


WITHOUT_EFFECT: dict[str, Callable[[Draft, Node], bool]] = {
    "AbsVal": _keeps_positive,
    "Concat": _is_of_one,
    "Flatten": _drops_ones,
    "ReLU": _keeps_positive,
    "Reshape": _drops_ones,
    "Slice": _is_of_one,
}


def _flattened_by_itself(draft: Draft, node: Node) -> Node | None:
    source = draft.absorbed(node)
    if node.type != "InnerProduct" or node.traits.computes["axis"] != 1 or source is None:
        return None
    return replace(node, reads=source.reads) if _flattens(source) else None


# ---- sums ---------------------------------------------------------------------------------------


def _one_sum(draft: Draft, node: Node) -> Node | Edge | None:
    if not _is_sum(node):
        return None
    terms: Counter[tuple[int, int]] = Counter()
    for edge in node.reads:
        for term in _terms(draft, edge):
            terms[term.source, term.top] += term.coefficient  # type: ignore[assignment]  # a float
    edges = tuple(Edge(*end, _rounded(weight)) for end, weight in terms.items() if weight)
    if not edges or edges == node.reads:
        return None
    if len(edges) == 1 and not node.weighs:
        return edges[0] if edges[0].coefficient == 1 else _multiple(node, edges[0])
    traits = replace(node.traits, computes={**node.traits.computes, "bottoms": len(edges)})
    return replace(node, reads=edges, traits=traits)


def _is_sum(node: Node) -> bool:
    return node.type == "Eltwise" and node.traits.computes.get("operation") == "SUM"


def _is_multiple(node: Node) -> bool:
    computes = node.traits.computes
    return node.type == "Power" and (computes["power"], computes["shift"]) == (1.0, 0.0)


def _terms(draft: Draft, edge: Edge) -> list[Edge]:
    """Return what a term of a sum adds: the terms of another sum, or a multiple of one."""
    source = draft.source(edge)
    if source is None or source.bound or not (_is_sum(source) or _is_multiple(source)):
        return [edge]
    if len(source.reads) > MOST_TERMS:
        return [edge]
    factor = 1.0 if _is_sum(source) else _number(source.traits.computes["scale"])
    weight = factor * edge.coefficient
    return [replace(term, coefficient=term.coefficient * weight) for term in source.reads]


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _rounded(weight: float) -> float:
    """Return a coefficient to six digits: of floats, three thirds are not always one."""
    return float(f"{weight:.6g}")


def _multiple(node: Node, edge: Edge) -> Node:
    computes: dict[str, Value] = {"power": 1.0, "scale": edge.coefficient, "shift": 0.0}
    traits = Traits("Power", computes, node.traits.learns)
    return replace(node, type="Power", traits=traits, reads=(replace(edge, coefficient=1.0),))


def _one_multiple(draft: Draft, node: Node) -> Node | Edge | None:
    source = draft.absorbed(node)
    if source is None or not (_is_multiple(node) and _is_multiple(source)):
        return None
    scales = [_number(one.traits.computes["scale"]) for one in (node, source)]
    edge = replace(source.reads[0], coefficient=_rounded(scales[0] * scales[1]))
    return edge if edge.coefficient == 1 and not node.weighs else _multiple(node, edge)


# ---- layers that together are one ---------------------------------------------------------------


def _own_bias(draft: Draft, node: Node) -> Node | None:
    source = draft.absorbed(node)
    if node.type != "Bias" or len(node.reads) != 1 or source is None or node.weighs:
        return None
    theirs, ours = node.traits.computes, source.traits.computes
    alike = all(ours.get(name, 1) == theirs[name] for name in ("axis", "num_axes"))
    alone = draft.readers[node.reads[0].source] == 1
    if source.type not in TAKES_A_BIAS or ours["bias_term"] or not (alike and alone):
        return None
    learns = dict(source.traits.learns)
    learns["bias_filler"] = node.traits.learns["filler"]
    for rates in ("lr_mult", "decay_mult"):
        learns[rates] = (*_tuple(learns.get(rates)), *_tuple(node.traits.learns.get(rates)))
    traits = Traits(source.type, {**ours, "bias_term": True}, learns)
    return replace(source, traits=traits, layers=(*source.layers, *node.layers))


def _tuple(value: Value) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _loss_of_softmax(draft: Draft, node: Node) -> Node | None:
    softmax = draft.absorbed(node)
    if node.type != "MultinomialLogisticLoss" or softmax is None or softmax.type != "Softmax":
        return None
    computes = {**softmax.traits.computes, "normalization": "by images", "ignore_label": None}
    kind = "SoftmaxWithLoss"
    traits = Traits(kind, computes, node.traits.learns)
    return replace(node, type=kind, traits=traits, reads=(*softmax.reads, *node.reads[1:]))


def _ranks_scores(draft: Draft, node: Node) -> Node | None:
    softmax = draft.absorbed(node)
    if node.type not in RANKS or softmax is None or softmax.type != "Softmax":
        return None
    axes = (softmax.traits.computes["axis"], node.traits.computes.get("axis") or 1)
    if node.traits.computes.get("out_max_val") or axes[0] != axes[1]:
        return None
    return replace(node, reads=(*softmax.reads, *node.reads[1:]))


def _objective(draft: Draft, node: Node) -> Edge | None:
    """Give the weight of a sum of losses to each of them."""
    sources = [draft.source(edge) for edge in node.reads]
    losses = [source for source in sources if source and source.type.endswith("Loss")]
    adds = node.reads and (_is_sum(node) or _is_multiple(node))
    plain = not draft.readers.get(draft.index) and not any(edge.top for edge in node.reads)
    if not (adds and plain and node.weighs and len(losses) == len(node.reads)):
        return None
    [weight] = _tuple(node.traits.learns["loss_weight"])[:1]
    scale = _number(node.traits.computes.get("scale", 1.0))
    for edge, loss in zip(node.reads, losses, strict=True):
        more = _number(weight) * scale * edge.coefficient  # type: ignore[arg-type]  # a float
        draft.nodes[edge.source] = _weighed(loss, more)
    return node.reads[0]


def _weighed(loss: Node, more: float) -> Node:
    first, *others = _tuple(loss.traits.learns.get("loss_weight")) or (0.0,)
    weights = (_rounded(_number(first) + more), *others)  # type: ignore[arg-type]  # a float
    learns = {**loss.traits.learns, "loss_weight": weights}
    return replace(loss, traits=replace(loss.traits, learns=learns))


def _relu_first(draft: Draft, node: Node) -> Node | None:
    pooling = draft.absorbed(node)
    if not _is_relu(node) or pooling is None or pooling.type != "Pooling":
        return None
    place = node.reads[0].source
    if pooling.traits.computes["pool"] != "MAX" or draft.readers[place] != 1:
        return None
    draft.nodes[place] = replace(node, reads=pooling.reads)
    draft.positive.add(place)
    return replace(pooling, reads=(Edge(place),))


# In the order in which they are tried, each once per layer: sums before what reads them.
RULES: tuple[tuple[AlgebraicRule, str], ...] = (
    (_without_effect, "has no effect"),
    (_flattened_by_itself, "flattens by itself: a Flatten or Reshape before it has no effect"),
    (_one_sum, "adds the terms of the sums that it adds"),
    (_one_multiple, "is a multiple of a multiple"),
    (_own_bias, "is the bias of the layer before it"),
    (_loss_of_softmax, "and the Softmax before it are a SoftmaxWithLoss"),
    (_ranks_scores, "ranks scores as it ranks their Softmax"),
    (_objective, "adds up losses, which then have these weights"),
    (_relu_first, "is the same before a MAX pooling as after it"),
)
