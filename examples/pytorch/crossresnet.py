"""The paper's multitask networks in PyTorch, with the weights of `netgen export --safetensors`.

CrossResNet.load("xs.safetensors")(images) gives the scores of each task, N x classes, for images
N x 3 x H x W in B, G, R, less the mean. It computes what Caffe does, scores in eval() and gradients
in train(), of what is built without --reading, --beyond and --frozen-statistics.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

Blobs = Mapping[str, Tensor]  # "layer/0", "layer/1", ...: as Caffe has them


def norm(blobs: Blobs, place: str) -> nn.BatchNorm2d:
    """Caffe's BatchNorm and Scale; its third blob divides the averages."""
    mean, variance, weight = (blobs[f"bn{place}/{index}"] for index in range(3))
    made = nn.BatchNorm2d(len(mean), momentum=0.001)
    state = {"running_mean": mean / (weight or 1), "running_var": variance / (weight or 1)}
    state |= {"weight": blobs[f"scale{place}/0"], "bias": blobs[f"scale{place}/1"]}
    made.load_state_dict(state, strict=False)  # torch also counts batches
    return made


class Unit(nn.Module):
    """A convolution and its normalisation, unless that has moved behind the block's sum."""

    def __init__(self, blobs: Blobs, layer: str, stride: int = 1) -> None:
        super().__init__()
        names = {"weight": f"{layer}/0", "bias": f"{layer}/1"}
        state = {name: blobs[key] for name, key in names.items() if key in blobs}
        out, into, side, _ = state["weight"].shape
        self.conv = nn.Conv2d(into, out, side, stride, side // 2, bias="bias" in state)
        self.conv.load_state_dict(state)
        place = "_conv1" if layer == "conv1" else layer.removeprefix("res")
        self.norm = norm(blobs, place) if f"bn{place}/0" in blobs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Block(nn.Module):
    """He's bottleneck: the sum of the shortcut, the residual, and what other tasks add."""

    def __init__(self, blobs: Blobs, place: str, suffix: str = "") -> None:
        super().__init__()
        stride = 2 if place[1] == "a" and place[0] > "2" else 1
        first = f"res{place}_branch1{suffix}"
        self.branch1 = Unit(blobs, first, stride) if f"{first}/0" in blobs else nn.Identity()
        self.branch2a = Unit(blobs, f"res{place}_branch2a{suffix}", stride)
        self.branch2b = Unit(blobs, f"res{place}_branch2b{suffix}")
        self.branch2c = Unit(blobs, f"res{place}_branch2c{suffix}")

    def forward(self, x: Tensor, others: Sequence[Tensor] = ()) -> Tensor:
        residual = self.branch2c(relu(self.branch2b(relu(self.branch2a(x)))))
        return self.branch1(x) + residual + sum(others)


class Crossing(nn.Module):
    """One block per task: each adds the other tasks' shortcuts, as they are or weighted (2)."""

    def __init__(self, blobs: Blobs, place: str, tasks: Sequence[str], crossed: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({task: Block(blobs, place, f"_{task}") for task in tasks})
        self.sources = {t: [j for j in tasks if crossed and j != t] for t in tasks}
        names = {f"{j}_{t}": f"cross{place}_{j}_{t}/0" for t in tasks for j in self.sources[t]}
        self.weights = nn.ParameterDict({k: blobs[n] for k, n in names.items() if n in blobs})

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        def heard(j: str, t: str) -> Tensor:
            return x[j] * self.weights[f"{j}_{t}"][:, None, None] if self.weights else x[j]

        others = {t: [heard(j, t) for j in of] for t, of in self.sources.items()}
        return {t: relu(block(x[t], others[t])) for t, block in self.blocks.items()}


class CrossResNet(nn.Module):
    """A shared trunk, a normalisation per task where they part, towers that cross, and heads."""

    def __init__(self, blobs: Blobs, tasks: Sequence[str], crossed: bool) -> None:
        super().__init__()
        block = re.compile(r"res(\d[a-z])_branch2a(.*)/0")
        places = {m[1]: not m[2] for name in sorted(blobs) if (m := block.match(name))}
        self.stem = Unit(blobs, "conv1", 2 if blobs["conv1/0"].shape[2] == 7 else 1)
        shared = [place for place, is_shared in places.items() if is_shared]
        own = [place for place, is_shared in places.items() if not is_shared]
        self.trunk = nn.ModuleList(Block(blobs, place) for place in shared)
        self.towers = nn.ModuleList(Crossing(blobs, place, tasks, crossed) for place in own)
        self.part, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for task in tasks:
            self.part[task] = norm(blobs, f"{shared[-1]}_{task}") if own else nn.Identity()
            state = {"weight": blobs[f"fc_{task}/0"], "bias": blobs[f"fc_{task}/1"]}
            self.heads[task] = nn.Linear(*reversed(state["weight"].shape))
            self.heads[task].load_state_dict(state)

    @classmethod
    def load(cls, path: str) -> CrossResNet:
        """Read what `netgen export --safetensors` wrote."""
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["netgen"])
            blobs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return cls(blobs, [one["task"] for one in about["tasks"]], about["variant"] in ("x1", "xs"))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        x = relu(self.stem(images))
        if self.stem.conv.kernel_size[0] == 7:
            x = max_pool2d(x, 3, 2, ceil_mode=True)
        for block in self.trunk[:-1]:
            x = relu(block(x))
        last = self.trunk[-1](x)
        towers = {task: relu(part(last)) for task, part in self.part.items()}
        for crossing in self.towers:
            towers = crossing(towers)
        return {task: head(towers[task].mean((2, 3))) for task, head in self.heads.items()}
