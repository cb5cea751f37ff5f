"""Equations (3) and (4) in NumPy: what is left of a highway and of an LSTM without gates."""

from __future__ import annotations

from netgen.measurements.model import Context, Found, measurement

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
