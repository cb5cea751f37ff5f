"""Compares a network with the paper's by what it computes, however it is written.

A phase of a network becomes a graph of nodes (`nodes`, `traits`, `spellings`) in normal form
(`normal_form`, `algebra`); the nearest of the paper's networks is found (`references`, `graph`),
layers are paired (`matching`), and what differs is listed (`differences`) and said
(`explanations`, `network_findings`). `numeric` runs both in Caffe.
"""

from __future__ import annotations

from netgen.audit.comparison.differences import GraphComparison, compare
from netgen.audit.comparison.graph import Graph, graph_of
from netgen.audit.comparison.references import Reference, nearest

__all__ = ["Graph", "GraphComparison", "Reference", "compare", "graph_of", "nearest"]
