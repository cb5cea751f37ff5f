"""The baselines in Caffe: parameters, the same scores in another engine, and losses that fall."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.caffe_child import complaints, in_caffe
from support.fashion_mnist import read
from support.networks import BASELINES, dataset, order, text, write_split
from support.networks_in_caffe import agree, in_opencv, parameters, run_each
from support.paths import ROOT

from data_prep.fashion_mnist import PACKAGE_FOLDER
from data_prep.image_source import SplitName
from netgen.caffe.schema import layers_in, parse_net
from netgen.caffe.training_log import read_log
from netgen.cost.complexity import count
from netgen.network.build import network_files
from netgen.network.dataset import MTVSO, Dataset, Split
from netgen.network.residual import Backbone
from netgen.paper import Recipe
from netgen.system.files import write_all

# Table 2's rows to the last digit; Inception-v1 with its auxiliary heads.
PARAMETERS = {
    "deepsentibank": 65_426_857,
    "caffenet-noun": 57_552_423,
    "caffenet-adj": 57_347_573,
    "caffenet-anp": 59_133_865,
    "inception-v1-noun": 10_816_805,
    "inception-v1-adj": 10_663_055,
    "inception-v1-anp": 12_003_755,
    "vgg16-noun": 134_944_743,
    "vgg16-adj": 134_739_893,
    "vgg16-anp": 136_526_185,
}


def count_each(prototxts: dict[str, str]) -> dict[str, int]:
    """In Caffe: the parameters of networks, one after the other, as they are trained."""
    import caffe

    counts = {}
    for name, prototxt in prototxts.items():
        Path("net.prototxt").write_text(prototxt, encoding="utf-8")
        counts[name] = parameters(caffe.Net("net.prototxt", caffe.TRAIN))
    return counts


def without_data(prototxt: str) -> str:
    """A network as it is trained, fed with one image, and without the time that fillers take."""
    net = parse_net(prototxt)
    fed = [layer for layer in layers_in(net, "TRAIN") if layer.type in ("Data", "Input")]
    kept = [layer for layer in layers_in(net, "TRAIN") if layer.type not in ("Data", "Input")]
    del net.layer[:]
    net.layer.add(name="inputs", type="Input", top=[layer.top[0] for layer in fed])
    for layer in fed:
        shape = [1, 3, 224, 224] if layer.top[0] == "data" else [1, 1, 1, 1]
        net.layer[0].input_param.shape.add(dim=shape)
    net.layer.extend(kept)
    fillers = str(net)
    for filler in ("gaussian", "xavier", "msra"):
        fillers = fillers.replace(f'type: "{filler}"', 'type: "constant"')
    return fillers


def test_caffe_and_netgen_count_the_same_parameters(tmp_path: Path) -> None:
    prototxts = {
        name: (ROOT / f"models/{name}/{kind}.prototxt").read_text(encoding="utf-8")
        for name in BASELINES
        for kind in ("deploy" if name == "deepsentibank" else "train_val",)
    }
    fed = {name: without_data(prototxt) for name, prototxt in prototxts.items()}
    answer = in_caffe(count_each, fed, folder=tmp_path)
    assert answer.complaints == []
    assert answer.value == PARAMETERS
    inputs = {"data": (3, 224, 224)}
    for name, prototxt in prototxts.items():
        hints = inputs if name != "deepsentibank" else {}
        assert count(parse_net(prototxt), "TRAIN", inputs=hints).parameters == PARAMETERS[name]


ITEM = {"item": 10}
DEPLOYED = {
    "the paper's DeepSentiBank": order("deepsentibank", MTVSO, None),
    "the paper's Inception-v1": order("inception-v1-anp", MTVSO, None),
    "VGG-16, narrow, on the paper's images": order("vgg16-anp", MTVSO, Backbone(width=16)),
    "CaffeNet on images of 227": order("caffenet-item", dataset(ITEM, (3, 227, 227)), Backbone(24)),
    **{
        f"{name}, {' x '.join(map(str, size))}": order(
            f"{name}-item", dataset(ITEM, size), Backbone(width=12)
        )
        for name in ("caffenet", "inception-v1", "vgg16")
        for size in ((1, 64, 64), (3, 97, 130), (3, 67, 80))
    },
}


def test_opencv_and_caffe_agree_on_every_baseline(tmp_path: Path) -> None:
    """Normalisation over channels, pools that overhang and groups are where readers differ."""
    prototxts = {name: text(ordered, "deploy") for name, ordered in DEPLOYED.items()}
    answer = in_caffe(run_each, prototxts, folder=tmp_path)
    assert answer.complaints == []
    for number, ran in enumerate(answer.value.values()):
        weights = tmp_path / f"{number}.caffemodel"
        agree(ran["probabilities"], in_opencv(tmp_path / f"{number}.prototxt", weights, ran))
        weights.unlink()


# ---- training -----------------------------------------------------------------------------------

# From nothing, at an eighth or a quarter of the width: images' sides, rate, iterations.
TRAININGS = {
    "caffenet": (64, 12, 3e-5, 200),
    "inception-v1": (64, 16, 5e-3, 80),
    "vgg16": (32, 8, 3e-5, 160),
}
FILLER, BIAS = re.compile(r'{ type: "gaussian" std: [\d.]+ }'), re.compile(r"value: [\d.]+ }")


def clothes(folder: Path, side: int) -> Dataset:
    """The first 960 images of each half of Fashion-MNIST, scaled up to `side` x `side`."""
    data = dataset(ITEM, (1, side, side), records=960, folder=str(folder))
    splits: dict[SplitName, Split] = {"train": data.train, "test": data.test}
    for name, split in splits.items():
        found = list(read(name, 960))
        images = np.stack([cv2.resize(pixels, (side, side))[None] for pixels, _ in found])
        write_split(folder, split, images, {"item": [item.labels["item"] for _, item in found]})
    return data


@pytest.mark.skipif(not PACKAGE_FOLDER.exists(), reason="Fashion-MNIST is not installed")
@pytest.mark.parametrize("name", TRAININGS)
def test_a_narrow_baseline_learns_to_tell_clothes(name: str, tmp_path: Path) -> None:
    side, width, rate, iterations = TRAININGS[name]
    recipe = Recipe(
        base_lr=rate, max_iter=iterations, test_interval=iterations, snapshot=10_000, display=1
    )
    data = clothes(tmp_path, side)
    ordered = order(f"{name}-item", data, Backbone(width=width), recipe, tmp_path)
    texts = network_files(ordered)
    if name == "caffenet":  # the fillers of 2012 take a million images to leave the start
        net = ordered.folder / "train_val.prototxt"
        texts[net] = BIAS.sub("value: 0 }", FILLER.sub('{ type: "msra" }', texts[net]))
    write_all(texts)
    run = subprocess.run(
        [Path(sys.executable).parent / "caffe", "train", "-solver", ordered.solver],
        stderr=subprocess.PIPE, text=True, timeout=300, check=True,
        env={"GLOG_logtostderr": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert complaints(run.stderr) == []
    (tmp_path / "log").write_text(run.stderr)
    log = read_log(tmp_path / "log")
    losses = [reading.values["loss_item"] for reading in log.train]
    tenth = iterations // 10
    assert np.mean(losses[-tenth:]) < np.mean(losses[:tenth])
    [tested] = log.test
    assert tested.values["loss_item"] < np.log(10) - 0.03, "better than guessing, on other images"
