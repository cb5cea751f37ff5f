"""What every Caffe has to pass, whatever source and options it was built from.

The one examined is that of the Python that runs this, so another is examined by another Python:
`CAFFE_SOURCE=<tree> ./run setup`, then `.venv/bin/python -m pytest tests/test_any_caffe.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

from support.any_caffe import train_and_evaluate


def test_it_loads_xs_trains_20_iterations_on_the_demos_data_and_evaluates(
    tmp_path: Path,
) -> None:
    results = train_and_evaluate(tmp_path)
    tasks = {"item": 10, "family": 6, "season": 3}
    for task in tasks:
        assert 0 <= results[f"top1_{task}"] <= 1
    learned = sum(results[f"loss_{task}"] for task in tasks)
    assert learned < sum(math.log(classes) for classes in tasks.values())  # a guess's loss
