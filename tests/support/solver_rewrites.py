"""Operators that rewrite a solver and change nothing of what it trains: one function each.

An operator gets hypothesis's draw and the text of a solver, and returns another text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.text_format import MessageToString
from hypothesis import strategies as st

from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import parse_solver, read_net
from support.paths import ROOT
from support.solver_changes import END, EPOCH, Draw, rate_between

DEFAULTS = [
    field
    for field in SolverParameter.DESCRIPTOR.fields
    if field.has_default_value and field.name != "solver_type"
]
SPELLINGS = {"0.001": ["1e-3", "0.0010", ".001", "1.0E-3f"], "0.9": ["9e-1", ".9", "0.900"],
             "0.0001": ["1e-4", "0.00010", "1E-04"]}  # fmt: skip


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def reordered(draw: Draw, text: str) -> str:
    return "\n".join(draw(st.permutations(_lines(text))))


def on_one_line(draw: Draw, text: str) -> str:
    between: str = draw(st.sampled_from([" ", ", ", "; ", "\t"]))
    return between.join(_lines(text))


def with_comments(draw: Draw, text: str) -> str:
    words = draw(st.lists(st.text("abc: {}\"'0", max_size=20), min_size=1, max_size=5))
    lines = [*text.splitlines(), *(f"# {word}" for word in words)]
    return "\n".join(line + draw(st.sampled_from(["", "  # momentum: 0.5"])) for line in lines)


def without_comments(draw: Draw, text: str) -> str:
    return "\n".join(_lines(text))


def spelled_otherwise(draw: Draw, text: str) -> str:
    """The same numbers in other digits."""
    for number, others in SPELLINGS.items():
        text = text.replace(f": {number}\n", f": {draw(st.sampled_from(others))}\n")
    return text


def defaults_written_out(draw: Draw, text: str) -> str:
    """Fields that are not there, with the values that Caffe gives them."""
    solver = parse_solver(text)
    for field in draw(st.lists(st.sampled_from(DEFAULTS), min_size=1, unique_by=id)):
        if not solver.HasField(field.name):
            setattr(solver, field.name, field.default_value)
    return MessageToString(solver)


def type_as_in_2014(draw: Draw, text: str) -> str:
    return text.replace('type: "SGD"', "solver_type: SGD")


def default_type_left_out(draw: Draw, text: str) -> str:
    return text.replace('type: "SGD"', "")


def other_places(draw: Draw, text: str) -> str:
    """Where snapshots are written, how often, and what is told: nothing of that trains."""
    solver = parse_solver(text)
    solver.snapshot_prefix = draw(st.sampled_from(["a", "/b/c", "d/../e", "with space/f"]))
    solver.snapshot = draw(st.integers(0, 10**6))
    solver.display = draw(st.integers(0, 1000))
    solver.average_loss = draw(st.integers(1, 100))
    for field in ("debug_info", "test_compute_loss", "snapshot_diff", "snapshot_after_train",
                  "test_initialization", "layer_wise_reduce"):  # fmt: skip
        setattr(solver, field, draw(st.booleans()))
    solver.solver_mode = draw(st.sampled_from([0, 1]))
    solver.device_id = draw(st.integers(0, 7))
    solver.snapshot_format = draw(st.sampled_from([0, 1]))
    return MessageToString(solver)


def unread_numbers(draw: Draw, text: str) -> str:
    """Numbers of other policies and types, which "fixed" and SGD do not read."""
    solver = parse_solver(text)
    for field in ("gamma", "power", "momentum2", "rms_decay", "delta"):
        if draw(st.booleans()):
            setattr(solver, field, draw(rate_between(0, 2)))
    solver.stepsize = draw(st.integers(0, END))
    return MessageToString(solver)


def _never(draw: Draw) -> dict[str, dict[str, Any]]:
    gamma, late = draw(rate_between(0.01, 0.9)), draw(st.integers(END + 25, 2**31 - 1))
    return {
        "step": {"gamma": gamma, "stepsize": late},
        "multistep": {"gamma": gamma, "stepvalue": [late]},
        "exp": {"gamma": 1},
        "inv": draw(st.sampled_from([{"power": 0, "gamma": gamma}, {"power": gamma}])),
        "poly": {"power": 0},
        "sigmoid": {"gamma": 0, "stepsize": 1, "base_lr": 0.002},
    }


def never_falling(draw: Draw, text: str) -> str:
    """Policies whose rate stays, to the last iteration, as it starts."""
    solver = parse_solver(text)
    solver.lr_policy, numbers = draw(st.sampled_from(sorted(_never(draw).items(), key=str)))
    for field, value in numbers.items():
        if field == "stepvalue":
            solver.stepvalue.extend(value)
        else:
            setattr(solver, field, value)
    return MessageToString(solver)


def as_train_and_test_net(draw: Draw, text: str) -> str:
    solver = parse_solver(text)
    solver.train_net = solver.net
    solver.test_net.append(solver.net)
    solver.ClearField("net")
    return MessageToString(solver)


def net_by_another_path(draw: Draw, text: str) -> str:
    path = parse_solver(text).net
    others = [f"./{path}", f"solvers/../{path}", str(ROOT / path)]
    return text.replace(f'"{path}"', f'"{draw(st.sampled_from(others))}"')


def net_in_place(draw: Draw, text: str) -> str:
    """The net written into the solver: for both phases, or one for each."""
    solver = parse_solver(text)
    net = read_net(ROOT / solver.net)
    solver.ClearField("net")
    if draw(st.booleans()):
        solver.net_param.CopyFrom(net)
    else:
        solver.train_net_param.CopyFrom(net)
        solver.test_net_param.add().CopyFrom(net)
    return MessageToString(solver)


def net_in_place_with_defaults(draw: Draw, text: str) -> str:
    """The net written into the solver, with what Caffe would take anyway."""
    solver = parse_solver(text)
    net = read_net(ROOT / solver.net)
    for layer in draw(st.lists(st.sampled_from([*net.layer]), min_size=1, max_size=9)):
        if layer.type == "Convolution":
            layer.convolution_param.axis = 1
        elif layer.type == "ReLU":
            layer.relu_param.negative_slope = 0
        elif layer.type == "Data":
            layer.data_param.prefetch = layer.data_param.DESCRIPTOR.fields_by_name[
                "prefetch"
            ].default_value
    solver.ClearField("net")
    solver.net_param.CopyFrom(net)
    return MessageToString(solver)


def states_that_select_the_same(draw: Draw, text: str) -> str:
    """Levels and stages that no layer asks for; Caffe 1.0's own program writes the first."""
    stages = st.lists(st.sampled_from(["", "deploy", "a"]), max_size=2)
    solver = parse_solver(text)
    for state in (solver.train_state, solver.test_state.add()):
        state.level = draw(st.integers(0, 3))
        state.stage.extend(draw(stages))
    return MessageToString(solver)


def tested_twice(draw: Draw, text: str) -> str:
    solver = parse_solver(text)
    solver.test_iter.extend([solver.test_iter[0]] * draw(st.integers(1, 3)))
    return MessageToString(solver)


REWRITES: list[Callable[[Draw, str], str]] = [
    reordered,
    on_one_line,
    with_comments,
    without_comments,
    spelled_otherwise,
    defaults_written_out,
    type_as_in_2014,
    default_type_left_out,
    other_places,
    unread_numbers,
    never_falling,
    as_train_and_test_net,
    net_by_another_path,
    net_in_place,
    net_in_place_with_defaults,
    states_that_select_the_same,
    tested_twice,
]


def in_equal_steps(draw: Draw) -> tuple[SolverParameter, SolverParameter]:
    """The same falls as "step" and as "multistep": fields of the rate only."""
    size, gamma = draw(st.integers(1, END)), draw(st.sampled_from([0.1, 0.5, 0.01]))
    end = draw(st.integers(0, min(END, 40 * size)))
    late = draw(st.sampled_from([[], [max(end, 1)], [END + EPOCH]]))
    steps = [*range(size, end, size), *late]
    one = SolverParameter(lr_policy="step", stepsize=size, base_lr=0.001, gamma=gamma)
    other = SolverParameter(lr_policy="multistep", stepvalue=steps, base_lr=0.001, gamma=gamma)
    one.max_iter = other.max_iter = end
    return one, other
