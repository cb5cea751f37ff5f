"""A log of the paper's training, and operators that change or rewrite logs: one function each.

An operator gets hypothesis's draw and the text of a log, and returns another text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from google.protobuf.text_format import MessageToString
from hypothesis import strategies as st

from netgen.caffe.caffe_pb2 import TEST, TRAIN, NetParameter, Phase
from netgen.caffe.schema import layers_in, read_net
from netgen.paper import TABLE_2
from support.paths import ROOT
from support.solver_changes import Draw, rate_between

PREFIX = re.compile(r"^([IW]\d{4,8}) +([\d:.]+) +(\d+) ([\w.]+):(\d+)\]", re.MULTILINE)
RATE = re.compile(r"Iteration (\d+), lr = (\S+)")
LOSS = re.compile(r"(Train net output #\d+: \S+ = )(\S+)")
DISPLAY = re.compile(r"^.*\] Iteration \d+.*, loss = .*$", re.MULTILINE)


@cache
def log_of_a_training(variant: str = "xs") -> str:
    """What a Caffe that prints its nets might have written about a variant's training."""
    solver = (ROOT / f"solvers/{variant}.prototxt").read_text(encoding="utf-8")
    said = ["I0816 10:00:00.000001 123 solver.cpp:48] Initializing solver from parameters: "]
    said.append(falling(solver).rstrip())
    for phase in (TRAIN, TEST):
        said += ["I0816 10:00:01.000001 123 net.cpp:58] Initializing net from parameters: "]
        said.append(printed(variant, phase).rstrip())
    said += [f"I0816 10:00:02.000001 123 {message}" for message in messages(variant)]
    return "\n".join(said) + "\n"


# The rates as they fell, and a line for each of them.
FALLING = '"multistep"\ngamma: 0.1\nstepvalue: 128000\nstepvalue: 256000'
DISPLAYED = 64_000


def falling(solver: str) -> str:
    """A solver of ours, with the falls that the log tells of, and as many displays."""
    solver = solver.replace('"fixed"', FALLING)
    return solver.replace("display: 100\n", f"display: {DISPLAYED}\n")


def printed(variant: str, phase: Phase) -> str:
    """A net as Caffe prints it: the layers of its phase, and the phase."""
    net = read_net(ROOT / f"models/{variant}/train_val.prototxt")
    kept = layers_in(net, "TRAIN" if phase == TRAIN else "TEST")
    filtered = NetParameter(name=net.name, layer=kept)
    filtered.state.phase = phase
    return MessageToString(filtered)


def told(variant: str) -> list[str]:
    """What Caffe says of each layer when it creates it, less its Splits and shapes."""
    said = []
    for phase in (TRAIN, TEST):
        said += ["solver.cpp:190] Creating test net (#0)"] if phase == TEST else []
        net = read_net(ROOT / f"models/{variant}/train_val.prototxt")
        for layer in layers_in(net, "TRAIN" if phase == TRAIN else "TEST"):
            said += [f"net.cpp:88] Creating Layer {layer.name}"]
            said += [f"net.cpp:412] {layer.name} <- {blob}" for blob in layer.bottom]
            said += [f"net.cpp:386] {layer.name} -> {blob}" for blob in layer.top]
    return said


def messages(variant: str) -> list[str]:
    said = ["caffe.cpp:155] Finetuning from ResNet-50-model.caffemodel"]
    said += ["net.cpp:757] Ignoring source layer fc1000"]
    for iteration in range(0, 320_001, DISPLAYED):
        rate = 0.001 * 0.1 ** (iteration // 128_000)
        said += [f"solver.cpp:239] Iteration {iteration}, loss = 5.1"]
        said += ["solver.cpp:258]     Train net output #0: loss_noun = 5.1 (* 1 = 5.1 loss)"]
        said += [f"sgd_solver.cpp:106] Iteration {iteration}, lr = {rate:g}"]
    said += ["solver.cpp:464] Snapshotting to binary proto file "
             f"models/{variant}/snapshots/{variant}_iter_320000.caffemodel"]  # fmt: skip
    said += ["solver.cpp:347] Iteration 320000, Testing net (#0)"]
    for row in (row for row in TABLE_2 if row.variant == variant):
        for top, percent in ((1, row.top1), (5, row.top5)):
            value = float(percent) / 100
            said += [f"solver.cpp:414]     Test net output #0: top{top}_{row.task} = {value:g}"]
    return [*said, "solver.cpp:325] Optimization Done."]


# ---- changes ------------------------------------------------------------------------------------


def one_of(draw: Draw, pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = list(pattern.finditer(text))
    assert found, pattern.pattern
    match: re.Match[str] = draw(st.sampled_from(found))
    return match


def put(text: str, match: re.Match[str], new: str, group: int = 0) -> str:
    return text[: match.start(group)] + new + text[match.end(group) :]


def another_number(field: str) -> Callable[[Draw, str], str]:
    """Another value of a field of the solver that is printed."""

    def change(draw: Draw, text: str) -> str:
        match = re.search(rf"^{field}: (.+)$", text, re.MULTILINE)
        assert match
        wrong = rate_between(0, 1).filter(lambda x: abs(x - float(match[1])) > 1e-5)
        return put(text, match, f"{draw(wrong):.9f}", 1)

    return change


def another_end(draw: Draw, text: str) -> str:
    match = re.search(r"^max_iter: (\d+)$", text, re.MULTILINE)
    assert match
    return put(text, match, str(int(match[1]) + draw(st.integers(1, 10**6))), 1)


def another_rate(draw: Draw, text: str) -> str:
    """A rate that is told, not a tenth of another."""
    match = one_of(draw, RATE, text)
    factor = draw(st.sampled_from([0.02, 0.2, 0.5, 2, 5, 20]))
    return put(text, match, f"{float(match[2]) * factor:g}", 2)


def not_a_number(draw: Draw, text: str) -> str:
    value = draw(st.sampled_from(["nan", "-nan", "inf", "-inf"]))
    return put(text, one_of(draw, LOSS, text), value, 2)


def other_outputs(draw: Draw, text: str) -> str:
    """A convolution or classifier of another width, in the net that is printed."""
    match = one_of(draw, re.compile(r"num_output: (\d+)"), text)
    return put(text, match, str(int(match[1]) + draw(st.integers(1, 99))), 1)


def another_batch(draw: Draw, text: str) -> str:
    match = one_of(draw, re.compile(r"batch_size: (\d+)"), text)
    return put(text, match, str(int(match[1]) + draw(st.integers(1, 99))), 1)


def another_layer(draw: Draw, text: str) -> str:
    """A layer of a name that the given net does not have."""
    match = one_of(draw, re.compile(r'^  name: "(\w+)"', re.MULTILINE), text)
    return put(text, match, f"{match[1]}_x", 1)


def without_the_middle(draw: Draw, text: str) -> str:
    """Lines are missing: one display at least."""
    places = [match.start() for match in DISPLAY.finditer(text)]
    first = draw(st.integers(1, len(places) - 2))
    last = draw(st.integers(first + 1, len(places) - 1))
    return text[: places[first]] + text[places[last] :]


def without_the_end(draw: Draw, text: str) -> str:
    places = [match.start() for match in DISPLAY.finditer(text)]
    end: int = draw(st.integers(places[1], text.index("Optimization Done")))
    return text[:end]


def without_the_start(draw: Draw, text: str) -> str:
    """Neither a solver nor nets."""
    start: int = draw(st.sampled_from([m.start() for m in DISPLAY.finditer(text)][:-1]))
    return text[start:]


def twice(draw: Draw, text: str) -> str:
    """Another training in the same file."""
    times: int = draw(st.integers(2, 3))
    return text * times


def pasted(draw: Draw, text: str) -> str:
    """Lines of another training, without its start."""
    places = [match.start() for match in DISPLAY.finditer(text)]
    first = draw(st.integers(0, len(places) - 3))
    end = draw(st.integers(first + 1, len(places) - 1))
    return text[: places[-1]] + text[places[first] : places[end]] + text[places[-1] :]


def resumed(draw: Draw, text: str) -> str:
    place = next(DISPLAY.finditer(text)).start()
    file = f"some_iter_{draw(st.integers(0, 10**6))}.solverstate"
    words = draw(st.sampled_from(["Resuming", "Restoring previous solver status"]))
    line = f"I0816 10:00:02.000001 123 caffe.cpp:235] {words} from {file}\n"
    return text[:place] + line + text[place:]


def tower_ignored(draw: Draw, text: str) -> str:
    """The file of weights has a tower under the names of one task."""
    layers = sorted(set(re.findall(r'"(res5[bc]_branch2[abc])_noun"', text)))
    place = next(DISPLAY.finditer(text)).start()
    layer = draw(st.sampled_from(layers))
    line = f"I0816 10:00:02.000001 123 net.cpp:757] Ignoring source layer {layer}\n"
    return text[:place] + line + text[place:]


@dataclass(frozen=True)
class LogChange:
    """An operator, what the finding's place ends with, and whether it only leaves open."""

    operator: Callable[[Draw, str], str]
    named: str
    name: str
    is_open: bool = False

    def __str__(self) -> str:
        return self.name


def of(operator: Callable[[Draw, str], str], named: str, is_open: bool = False) -> LogChange:
    return LogChange(operator, named, operator.__name__, is_open)


CHANGES = [
    *(LogChange(another_number(field), field, f"another {field}")
      for field in ("momentum", "weight_decay", "base_lr")),
    of(another_end, "solver.prototxt"),
    of(another_rate, "learning rate"),
    of(not_a_number, "losses"),
    of(other_outputs, "net.prototxt"),
    of(another_batch, "net.prototxt"),
    of(another_layer, "net.prototxt"),
    of(without_the_middle, "iterations", is_open=True),
    of(without_the_end, "iterations", is_open=True),
    of(without_the_start, "the solver in it", is_open=True),
    of(twice, "starts", is_open=True),
    of(pasted, "iterations"),
    of(resumed, "resumed", is_open=True),
    of(tower_ignored, "weights"),
]  # fmt: skip


# ---- rewrites -----------------------------------------------------------------------------------


def other_times(draw: Draw, text: str) -> str:
    """Another day, another clock, another thread, other lines of Caffe's source."""
    day = draw(st.sampled_from(["I0101", "I1231", "I20160816"]))
    hour, thread = draw(st.integers(0, 23)), draw(st.integers(1, 10**6))
    clock, line = f"{hour:02}:59:59.{draw(st.integers(0, 999_999)):06}", draw(st.integers(1, 999))
    return PREFIX.sub(lambda m: f"{day} {clock} {thread:5} {m[4]}:{line}]", text)


def moved(draw: Draw, text: str) -> str:
    """Everything lay in another folder."""
    folder = draw(st.sampled_from(["/scratch/a", "../b", "/c d/e"]))
    return re.sub(r'(source: |net: |snapshot_prefix: )"', rf'\1"{folder}/', text)


def between_the_lines(draw: Draw, text: str) -> str:
    """What other threads and other programs say."""
    lines, begins = text.splitlines(), text.count("\n", 0, next(DISPLAY.finditer(text)).start())
    said = [
        "I0816 10:00:03.000001 777 data_layer.cpp:73] Restarting data prefetching from start.",
        "I0816 10:00:03.000001 778 blocking_queue.cpp:49] Waiting for data",
        "libdc1394 error: Failed to initialize libdc1394",
        "",
    ]
    for _ in range(draw(st.integers(1, 9))):
        lines.insert(draw(st.integers(begins, len(lines) - 1)), draw(st.sampled_from(said)))
    return "\n".join(lines) + "\n"


def worded_as_in_2016(draw: Draw, text: str) -> str:
    return re.sub(r"(Iteration \d+) \([^)]*\), loss", r"\1, loss", text)


def worded_as_in_1_0(draw: Draw, text: str) -> str:
    speed = f"({draw(st.integers(1, 99))}.5 iter/s, 19.2s/100 iters)"
    return re.sub(r"(Iteration \d+), loss", rf"\1 {speed}, loss", worded_as_in_2016(draw, text))


def with_the_end_of_a_line(draw: Draw, text: str) -> str:
    """Another system's ends of lines."""
    return text.replace("\n", "\r\n")


def speaking_of_gpus(draw: Draw, text: str) -> str:
    gpu = draw(st.integers(0, 7))
    return f"I0816 10:00:00.000001 123 caffe.cpp:204] Using GPUs {gpu}\n" + text


def seeds_of_another_run(draw: Draw, text: str) -> str:
    return re.sub(r"^random_seed: .*$", f"random_seed: {draw(st.integers(0, 9999))}", text,
                  flags=re.MULTILINE)  # fmt: skip


REWRITES = [
    other_times,
    moved,
    between_the_lines,
    worded_as_in_2016,
    worded_as_in_1_0,
    with_the_end_of_a_line,
    speaking_of_gpus,
    seeds_of_another_run,
]
