"""`netgen init --from` what torch saved, by the torch and torchvision that `./run test` installs.

They are Debian's, for CPUs; PyPI's bring gigabytes of CUDA. `./run setup` installs neither, and
without them these tests are skipped. What they check of the numbers is checked without torch too,
with the same names in safetensors (`test_weights_foreign.py`, `test_weights_vgg.py`).
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
    in_caffe_fc7,
    in_caffe_pool5,
    less,
    numbers,
    photographs,
    state_dict,
)
from support.initial_weights import init, netgen
from support.pytorch import torch_or_skip, torchvision_or_skip

from netgen.network.residual import Backbone

torch, tensor, array = torch_or_skip()
pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

FROM = ("--variant", "resnet50-noun", "--from")
SAME = 1e-4


def tensors() -> dict[str, Any]:
    """The narrow network's numbers, as torch has them."""
    return {name: tensor(value) for name, value in state_dict(numbers()).items()}


def proved(*words: str) -> dict[str, float]:
    """Start from tv.pth and prove it; return how far apart each stage is."""
    found = json.loads(init(*words, "tv.pth", "--style", "pytorch", "--prove", "--json").stdout)
    return {one["stage"]: one["relative"] for one in found["proof"]}


@pytest.mark.parametrize("nested", [False, True])
def test_what_torch_saved_starts_a_network_and_proves_to_be_the_same(nested: bool) -> None:
    state: Any = {f"module.{name}": torch.nn.Parameter(v) for name, v in tensors().items()}
    torch.save({"state_dict": state, "epoch": 3} if nested else state, "tv.pth")
    build_for(TORCHS_MEAN, **TORCHVISION)
    apart_at = proved(*FROM)
    assert [*apart_at][-1] == "pool5"
    assert max(apart_at.values()) < SAME


def test_brain_floats_are_converted_and_told() -> None:
    torch.save({name: value.bfloat16() for name, value in tensors().items()}, "tv.pth")
    build_for(TORCHS_MEAN, **TORCHVISION)
    assert "arrays are bfloat16" in init(*FROM, "tv.pth", "--style", "pytorch").stdout


def test_a_truncated_checkpoint_is_refused() -> None:
    torch.save(tensors(), "tv.pth")
    content = Path("tv.pth").read_bytes()
    build_for(TORCHS_MEAN, **TORCHVISION)
    for size in (40, len(content) // 2, len(content) - 10):
        Path("tv.pth").write_bytes(content[:size])
        found = netgen("init", *FROM, "tv.pth", "--style", "pytorch")
        assert found.exit_code == 1
        assert "damaged or truncated" in found.stderr


def test_tensors_that_are_no_real_numbers_are_refused_by_name() -> None:
    state = tensors()
    state["layer1.0.conv2.weight"] = state["layer1.0.conv2.weight"] * 1j
    torch.save(state, "tv.pth")
    build_for(TORCHS_MEAN, **TORCHVISION)
    found = netgen("init", *FROM, "tv.pth", "--style", "pytorch")
    assert found.exit_code == 1
    assert "layer1.0.conv2.weight: torch.complex64, no real numbers" in found.stderr


# ---- torchvision's own networks -----------------------------------------------------------------


def saved(network: Any) -> Any:
    """Give a network random biases and statistics, save it as tv.pth; return it as it evaluates."""
    for part in network.modules():
        if getattr(part, "bias", None) is not None:
            part.bias.data.normal_(0, 0.2)
        if isinstance(part, torch.nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1)
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    torch.save(network.state_dict(), "tv.pth")
    return network.eval()


def computed(part: Any) -> np.ndarray:
    """What a part of torchvision's network makes of the photographs, N x C."""
    fed = less(photographs(), TORCHS_MEAN, TORCHS_DEVIATION)[:, ::-1]
    with torch.inference_mode():
        values: np.ndarray = array(part(tensor(fed)))
    return values.reshape(len(fed), -1)


def test_torchvision_s_own_resnet_50_computes_the_same_in_caffe() -> None:
    torch.manual_seed(1)
    network = saved(torchvision_or_skip().models.resnet50(weights=None))
    build_for(TORCHS_MEAN, backbone=None, **TORCHVISION)
    apart_at = proved(*FROM)
    assert [*apart_at] == ["conv1", "res2", "res3", "res4", "res5", "pool5"]
    assert max(apart_at.values()) < SAME
    trunk = torch.nn.Sequential(*list(network.children())[:-1])
    assert apart(in_caffe_pool5(less(photographs(), TORCHS_MEAN)), computed(trunk)) < SAME


def narrow_vgg16() -> Any:
    """Torchvision's, an eighth as wide, for images of 64 x 64: at full size it has 550 MB."""
    vgg = torchvision_or_skip().models.vgg
    plan = [each if each == "M" else each // 8 for each in vgg.cfgs["D"]]
    network = vgg.VGG(vgg.make_layers(plan), init_weights=False)
    network.avgpool = torch.nn.Identity()  # as it is where the last maps are 7 x 7
    for place, (into, out) in {0: (4 * 64, 512), 3: (512, 512), 6: (512, 5)}.items():
        network.classifier[place] = torch.nn.Linear(into, out)
    return network


def test_torchvision_s_own_vgg_16_computes_the_same_in_caffe() -> None:
    torch.manual_seed(1)
    network = saved(narrow_vgg16())
    build_for(TORCHS_MEAN, "vgg16-noun", Backbone(width=8))
    apart_at = proved("--variant", "vgg16-noun", "--from")
    assert [*apart_at] == [*(f"pool{stage}" for stage in range(1, 6)), "fc6", "fc7"]
    assert max(apart_at.values()) < SAME
    rectified = 5  # of its classifier's layers, those as far as fc7's ReLU
    trunk = torch.nn.Sequential(
        network.features, torch.nn.Flatten(), network.classifier[:rectified]
    )
    assert apart(in_caffe_fc7(less(photographs(), TORCHS_MEAN)), computed(trunk)) < SAME
