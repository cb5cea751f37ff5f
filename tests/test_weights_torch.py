"""`netgen init --from` what torch saved, where torch is installed; `./run setup` does not do that.

PyPI's torch brings gigabytes of CUDA. `pip install torch torchvision`, from wheels for the CPU if
they are to be small, runs these tests; what they check of the numbers is checked without torch too,
with the same names in safetensors (`test_weights_foreign.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.foreign import (
    TORCHS_DEVIATION,
    TORCHS_MEAN,
    TORCHVISION,
    apart,
    build_for,
    in_caffe_pool5,
    less,
    numbers,
    photographs,
    state_dict,
)
from support.initial_weights import init, netgen

torch = pytest.importorskip("torch", reason="torch is not installed (pip install netgen[torch])")
pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

FROM = ("--variant", "resnet50-noun", "--from")


@pytest.mark.parametrize("nested", [False, True])
def test_what_torch_saved_starts_a_network_and_proves_to_be_the_same(nested: bool) -> None:
    state: Any = {f"module.{k}": torch.tensor(v) for k, v in state_dict(numbers()).items()}
    torch.save({"state_dict": state, "epoch": 3} if nested else state, "tv.pth")
    build_for(TORCHS_MEAN, **TORCHVISION)
    found = json.loads(init(*FROM, "tv.pth", "--style", "pytorch", "--prove", "--json").stdout)
    assert [one["stage"] for one in found["proof"]][-1] == "pool5"
    assert all(one["relative"] < 1e-4 for one in found["proof"])


def test_brain_floats_are_converted_and_told() -> None:
    state = {name: torch.tensor(v).bfloat16() for name, v in state_dict(numbers()).items()}
    torch.save(state, "tv.pth")
    build_for(TORCHS_MEAN, **TORCHVISION)
    assert "arrays are bfloat16" in init(*FROM, "tv.pth", "--style", "pytorch").stdout


def test_a_truncated_checkpoint_is_refused() -> None:
    torch.save({name: torch.tensor(v) for name, v in state_dict(numbers()).items()}, "tv.pth")
    content = Path("tv.pth").read_bytes()
    build_for(TORCHS_MEAN, **TORCHVISION)
    for size in (40, len(content) // 2, len(content) - 10):
        Path("tv.pth").write_bytes(content[:size])
        found = netgen("init", *FROM, "tv.pth", "--style", "pytorch")
        assert found.exit_code == 1
        assert "damaged or truncated" in found.stderr


def test_torchvision_s_own_resnet_50_computes_the_same_in_caffe() -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    torch.manual_seed(1)
    network = torchvision.models.resnet50(weights=None).eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1)
            part.bias.data.normal_(0, 0.2)
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    torch.save(network.state_dict(), "tv.pth")
    build_for(TORCHS_MEAN, backbone=None, **TORCHVISION)
    init(*FROM, "tv.pth", "--style", "pytorch")
    pixels = photographs()
    fed = np.ascontiguousarray(less(pixels, TORCHS_MEAN, TORCHS_DEVIATION)[:, ::-1])
    with torch.inference_mode():
        trunk = torch.nn.Sequential(*list(network.children())[:-1])
        expected = trunk(torch.from_numpy(fed)).numpy().reshape(len(fed), -1)
    assert apart(in_caffe_pool5(less(pixels, TORCHS_MEAN)), expected) < 1e-4
