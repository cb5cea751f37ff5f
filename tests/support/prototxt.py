"""Small writers of prototxt, and the published networks written with them."""

from __future__ import annotations


def node(kind: str, name: str, bottoms: str = "", tops: str | None = None, params: str = "") -> str:
    """A layer; its top is its name unless given."""
    made = name if tops is None else tops
    wires = [f'bottom: "{b}"' for b in bottoms.split()] + [f'top: "{t}"' for t in made.split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(wires)} {params} }}\n'


def image(*shape: int, name: str = "data") -> str:
    sizes = " ".join(f"dim: {size}" for size in shape)
    return node("Input", name, params=f"input_param {{ shape {{ {sizes} }} }}")


def conv(name: str, bottom: str, outputs: int, kernel: int, **fields: object) -> str:
    others = " ".join(f"{field}: {value}" for field, value in fields.items())
    numbers = f"num_output: {outputs} kernel_size: {kernel} {others}"
    return node("Convolution", name, bottom, params=f"convolution_param {{ {numbers} }}")


def pool(name: str, bottom: str, kernel: int, stride: int, kind: str = "MAX", pad: int = 0) -> str:
    numbers = f"pool: {kind} kernel_size: {kernel} stride: {stride} pad: {pad}"
    return node("Pooling", name, bottom, params=f"pooling_param {{ {numbers} }}")


def fc(name: str, bottom: str, outputs: int) -> str:
    numbers = f"num_output: {outputs}"
    return node("InnerProduct", name, bottom, params=f"inner_product_param {{ {numbers} }}")


def caffenet(size: int = 227, classes: int = 1000, hidden: int = 4096) -> str:
    """BVLC's reference CaffeNet."""
    return "".join(
        [
            image(1, 3, size, size),
            conv("conv1", "data", 96, 11, stride=4),
            pool("pool1", "conv1", 3, 2),
            node("LRN", "norm1", "pool1"),
            conv("conv2", "norm1", 256, 5, pad=2, group=2),
            pool("pool2", "conv2", 3, 2),
            conv("conv3", "pool2", 384, 3, pad=1),
            conv("conv4", "conv3", 384, 3, pad=1, group=2),
            conv("conv5", "conv4", 256, 3, pad=1, group=2),
            pool("pool5", "conv5", 3, 2),
            fc("fc6", "pool5", hidden),
            node("Dropout", "drop6", "fc6", "fc6"),
            fc("fc7", "fc6", hidden),
            fc("fc8", "fc7", classes),
            node("Softmax", "prob", "fc8"),
        ]
    )


def vgg16(classes: int = 1000) -> str:
    """Simonyan and Zisserman's configuration D."""
    text, top = image(1, 3, 224, 224), "data"
    for stage, (repeats, width) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]):
        for index in range(repeats):
            name = f"conv{stage + 1}_{index + 1}"
            text, top = text + conv(name, top, width, 3, pad=1), name
        text, top = text + pool(f"pool{stage + 1}", top, 2, 2), f"pool{stage + 1}"
    return text + fc("fc6", top, 4096) + fc("fc7", "fc6", 4096) + fc("fc8", "fc7", classes)


# Table 1 of "Going deeper with convolutions": 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(classes: int = 1000) -> str:
    """Inception-v1 as deployed: without auxiliary heads."""
    text = image(1, 3, 224, 224) + conv("conv1", "data", 64, 7, stride=2, pad=3)
    text += pool("pool1", "conv1", 3, 2) + node("LRN", "norm1", "pool1")
    text += conv("reduce2", "norm1", 64, 1) + conv("conv2", "reduce2", 192, 3, pad=1)
    text += node("LRN", "norm2", "conv2") + pool("pool2", "norm2", 3, 2)
    top = "pool2"
    for name, (one, reduce3, three, reduce5, five, proj) in INCEPTION.items():
        text += conv(f"{name}_1", top, one, 1)
        text += conv(f"{name}_3r", top, reduce3, 1) + conv(
            f"{name}_3", f"{name}_3r", three, 3, pad=1
        )
        text += conv(f"{name}_5r", top, reduce5, 1) + conv(
            f"{name}_5", f"{name}_5r", five, 5, pad=2
        )
        text += pool(f"{name}_p", top, 3, 1, pad=1) + conv(f"{name}_pp", f"{name}_p", proj, 1)
        joined = f"{name}_1 {name}_3 {name}_5 {name}_pp"
        text, top = text + node("Concat", name, joined), name
        if name in ("3b", "4e"):
            text, top = text + pool(f"pool{name}", top, 3, 2), f"pool{name}"
    return text + pool("pool5", top, 7, 1, "AVE") + fc("fc", "pool5", classes)


def normalised(name: str, bottom: str, outputs: int, kernel: int, **fields: object) -> str:
    """He's convolution, BatchNorm and Scale."""
    text = conv(name, bottom, outputs, kernel, **({"bias_term": "false"} | fields))
    text += node("BatchNorm", f"bn_{name}", name, name)
    return text + node("Scale", f"scale_{name}", name, name, "scale_param { bias_term: true }")


def resnet50(classes: int = 1000, batch: int = 1, size: int = 224) -> str:
    """He's ResNet-50, with a bias in conv1 and nowhere else."""
    text = image(batch, 3, size, size)
    text += normalised("conv1", "data", 64, 7, stride=2, pad=3, bias_term="true")
    text, top = text + pool("pool1", "conv1", 3, 2), "pool1"
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=2):
        for block in range(blocks):
            name, stride = f"res{stage}_{block}", 2 if stage > 2 and block == 0 else 1
            text += normalised(f"{name}a", top, width, 1, stride=stride)
            text += normalised(f"{name}b", f"{name}a", width, 3, pad=1)
            text += normalised(f"{name}c", f"{name}b", 4 * width, 1)
            if block == 0:
                text += normalised(f"{name}s", top, 4 * width, 1, stride=stride)
            shortcut = f"{name}s" if block == 0 else top
            text, top = text + node("Eltwise", name, f"{shortcut} {name}c"), name
            text += node("ReLU", f"{name}_relu", name, name)
    text += node("Pooling", "pool5", top, params="pooling_param { pool: AVE global_pooling: true }")
    return text + fc("fc", "pool5", classes)
