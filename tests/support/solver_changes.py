"""Operators that change what a solver trains: one function each, with the fields it is for.

An operator gets hypothesis's draw and a solver of the paper's, which it changes. Its cases say
which field the audit has to name, and whether the paper decides it or leaves it open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from netgen import paper
from netgen.caffe.caffe_pb2 import TEST, TRAIN, SolverParameter
from netgen.caffe.schema import read_net
from netgen.paper import Recipe
from support.paths import ROOT

Draw = Callable[[st.SearchStrategy[Any]], Any]
Expected = Literal["differs", "not checkable"]
EPOCH = paper.TRAIN_IMAGES // 24
END = 25 * EPOCH
PAPERS = Recipe()
PRINTED = {"momentum": 0.9, "weight_decay": 0.0001, "base_lr": 0.001}
OTHERS = {"x0": "xs", "x1": "x0", "xs": "x1"}


@dataclass(frozen=True)
class Change:
    """An operator applied to a field: what it does, the field that is to be named, the verdict."""

    operator: Callable[..., None]
    field: str
    named: str
    verdict: Expected = "differs"

    def __str__(self) -> str:
        return f"{self.operator.__name__} {self.field}"

    def __call__(self, draw: Draw, solver: SolverParameter) -> None:
        self.operator(draw, solver, self.field)


def rate_between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=True, exclude_max=True)


def another_value(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A number that is not the paper's."""
    wanted = PRINTED[field]
    setattr(solver, field, draw(rate_between(0, 1).filter(lambda x: abs(x / wanted - 1) > 1e-3)))


def power_of_ten(draw: Draw, solver: SolverParameter, field: str) -> None:
    """The paper's number with its point elsewhere."""
    places = draw(st.integers(-5, 5).filter(bool))
    setattr(solver, field, getattr(solver, field) * 10.0**places)


def left_out(draw: Draw, solver: SolverParameter, field: str) -> None:
    """The field is missing: Caffe takes its default."""
    solver.ClearField(field)


def negative(draw: Draw, solver: SolverParameter, field: str) -> None:
    value = getattr(solver, field)
    setattr(solver, field, -value if value else draw(st.integers(-9, -1)))


def zero(draw: Draw, solver: SolverParameter, field: str) -> None:
    setattr(solver, field, 0)


def small_whole(draw: Draw, solver: SolverParameter, field: str) -> None:
    """Too many, or too few."""
    setattr(solver, field, draw(st.integers(2, 1000)))


def another_type(draw: Draw, solver: SolverParameter, field: str) -> None:
    solver.type = field


def type_of_2014(draw: Draw, solver: SolverParameter, field: str) -> None:
    """Its spelling of 2014, an enumeration."""
    solver.ClearField("type")
    solver.MergeFrom(SolverParameter(solver_type=field))


def misspelled(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A name that Caffe does not know: it stops."""
    value = getattr(solver, field)
    setattr(solver, field, draw(st.sampled_from([value.upper(), value.lower(), f"{value}s"]).filter(
        lambda text: text != value)))  # fmt: skip


def l1(draw: Draw, solver: SolverParameter, field: str) -> None:
    setattr(solver, field, "L1")


def number_of_another_type(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A type that reads a number of its own, and that number."""
    solver.type = {"momentum2": "Adam", "rms_decay": "RMSProp", "delta": "AdaGrad"}[field]
    setattr(solver, field, draw(rate_between(0, 1)))


def clipped(draw: Draw, solver: SolverParameter, field: str) -> None:
    setattr(solver, field, draw(st.floats(0, 100)))


# ---- schedules ----------------------------------------------------------------------------------


def policy(solver: SolverParameter, name: str, **fields: Any) -> None:
    solver.lr_policy = name
    for field, value in fields.items():
        if isinstance(value, list):
            solver.stepvalue.extend(value)
        else:
            setattr(solver, field, value)


def smooth(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A rate that changes at every iteration."""
    numbers = {
        "exp": {"gamma": draw(rate_between(0.5, 0.99999))},
        "inv": {"gamma": draw(rate_between(1e-4, 1)), "power": draw(rate_between(0.25, 1))},
        "poly": {"power": draw(rate_between(0.5, 3))},
        "sigmoid": {"gamma": draw(rate_between(1e-3, 1)), "stepsize": draw(st.integers(1, END))},
    }
    policy(solver, field, **numbers[field])


def another_factor(draw: Draw, solver: SolverParameter, field: str) -> None:
    """Steps that do not divide by ten."""
    gamma = draw(rate_between(0, 3).filter(lambda x: min(abs(x / g - 1) for g in (0.1, 1)) > 0.01))
    step = draw(st.integers(EPOCH + 1, END - 1))
    policy(solver, field, gamma=gamma, **_steps(field, step))


def no_factor(draw: Draw, solver: SolverParameter, field: str) -> None:
    """Steps without gamma: Caffe multiplies by 0."""
    policy(solver, field, **_steps(field, draw(st.integers(EPOCH + 1, END - 1))))


def changing_sign(draw: Draw, solver: SolverParameter, field: str) -> None:
    step = draw(st.integers(EPOCH + 1, END - 1))
    policy(solver, field, gamma=-draw(rate_between(0.01, 2)), **_steps(field, step))


def too_early(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A fall before every image was seen, such as at iteration 10."""
    policy(solver, field, gamma=0.1, **_steps(field, draw(st.integers(1, EPOCH - 1))))


def in_quick_succession(draw: Draw, solver: SolverParameter, field: str) -> None:
    first = draw(st.integers(EPOCH + 1, END // 2))
    policy(solver, field, gamma=0.1, stepvalue=[first, first + draw(st.integers(1, EPOCH - 1))])


def not_rising(draw: Draw, solver: SolverParameter, field: str) -> None:
    """Steps in the wrong order: Caffe takes the later one right after the first."""
    first = draw(st.integers(EPOCH + 1, END // 2))
    policy(solver, field, gamma=0.1, stepvalue=[first, draw(st.integers(1, first))])


def from_the_start(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A step at iteration 0, so that the first rate is not base_lr."""
    policy(solver, field, gamma=0.1, stepvalue=[draw(st.integers(-5, 0))])


def steps_of_none(draw: Draw, solver: SolverParameter, field: str) -> None:
    policy(solver, field, gamma=0.1, stepsize=draw(st.integers(-9, 0)))


def tenfold_later(draw: Draw, solver: SolverParameter, field: str) -> None:
    """The paper's falls, at iterations that nobody but its authors knows."""
    policy(solver, field, gamma=0.1, **_steps(field, draw(st.integers(EPOCH + 1, END - 1))))


def _steps(field: str, step: int) -> dict[str, Any]:
    return {"stepsize": step} if field == "step" else {"stepvalue": [step]}


# ---- how long, tests, nets ----------------------------------------------------------------------


def ends_early(draw: Draw, solver: SolverParameter, field: str) -> None:
    setattr(solver, field, draw(st.integers(0, EPOCH - 1)))


def another_whole(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A number that the paper does not give."""
    value = getattr(solver, field)
    low = 2 * EPOCH
    setattr(solver, field, draw(st.integers(low, 2**31 - 1).filter(lambda x: x != value)))


def other_tests(draw: Draw, solver: SolverParameter, field: str) -> None:
    wrong = st.integers(1, 10**6).filter(lambda count: 3 * count != paper.TEST_IMAGES)
    solver.test_iter[0] = draw(wrong)


def another_test_net(draw: Draw, solver: SolverParameter, field: str) -> None:
    """A second test that does not read the test set once."""
    solver.test_iter.append(draw(st.integers(1, 25000)))


def more_states_than_nets(draw: Draw, solver: SolverParameter, field: str) -> None:
    for _ in range(draw(st.integers(2, 4))):
        solver.test_state.add(level=1)


def of_the_other_phase(draw: Draw, solver: SolverParameter, field: str) -> None:
    if field == "train_state":
        solver.train_state.phase = TEST
    else:
        solver.test_state.add(phase=TRAIN)


def net_of_another_variant(draw: Draw, solver: SolverParameter, field: str) -> None:
    """The path of another of the paper's networks."""
    name = solver.net.split("/")[1]
    path, mine = solver.net.replace(name, OTHERS[name]), solver.net
    solver.ClearField("net")
    for one in ("train_net", "test_net"):
        chosen = path if field in (one, "net") else mine
        if one == "train_net":
            solver.train_net = chosen
        else:
            solver.test_net.append(chosen)
    if field == "net":
        solver.ClearField("train_net")
        solver.ClearField("test_net")
        solver.net = path


def two_nets(draw: Draw, solver: SolverParameter, field: str) -> None:
    """Two nets to train: Caffe stops."""
    if field == "net_param":
        solver.net_param.CopyFrom(read_net(ROOT / solver.net))
    else:
        solver.train_net = solver.net


def net_in_place_changed(draw: Draw, solver: SolverParameter, field: str) -> None:
    """The net written into the solver, with another layer than the file's."""
    net = read_net(ROOT / solver.net)
    layers = [x for x in net.layer if x.type == field]
    layer = draw(st.sampled_from(layers))
    if field == "Convolution":
        layer.convolution_param.num_output += draw(st.integers(1, 99))
    elif field == "InnerProduct":
        layer.inner_product_param.num_output += draw(st.integers(1, 99))
    elif field == "Eltwise":
        layer.eltwise_param.operation = 2
    elif field == "SoftmaxWithLoss":
        layer.loss_weight[:] = [draw(rate_between(1.1, 9))]
    else:
        layer.data_param.batch_size += draw(st.integers(1, 99))
    solver.ClearField("net")
    solver.net_param.CopyFrom(net)


def initial_weights(draw: Draw, solver: SolverParameter, field: str) -> None:
    solver.weights.append(draw(st.sampled_from(["a.caffemodel", "b/c.caffemodel"])))


def of(operator: Callable[..., None], *fields: str, named: str = "", verdict: Expected = "differs"
       ) -> list[Change]:  # fmt: skip
    return [Change(operator, field, named or field, verdict) for field in fields]


NUMBERS = tuple(PRINTED)
STEPS = ("step", "multistep")
CHANGES = [
    *of(another_value, *NUMBERS),
    *of(power_of_ten, *NUMBERS),
    *of(left_out, *NUMBERS, "lr_policy", "max_iter", "test_interval"),
    *of(negative, *NUMBERS, "iter_size", "max_iter", "test_interval"),
    *of(zero, *NUMBERS, "iter_size", "max_iter", "test_interval", "average_loss"),
    *of(small_whole, "iter_size"),
    *of(another_type, "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam", named="type"),
    *of(type_of_2014, "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM", named="type"),
    *of(misspelled, "type", "lr_policy", "regularization_type"),
    *of(l1, "regularization_type"),
    *of(number_of_another_type, "momentum2", "rms_decay", "delta"),
    *of(clipped, "clip_gradients"),
    *of(smooth, "exp", "inv", "poly", named="lr_policy"),
    *of(smooth, "sigmoid", named="base_lr"),
    *of(another_factor, *STEPS, named="lr_policy"),
    *of(no_factor, *STEPS, named="lr_policy"),
    *of(changing_sign, *STEPS, named="lr_policy"),
    *of(too_early, *STEPS, named="lr_policy"),
    *of(in_quick_succession, "multistep", named="lr_policy"),
    *of(not_rising, "multistep", named="lr_policy"),
    *of(from_the_start, "multistep", named="base_lr"),
    *of(steps_of_none, "step", named="lr_policy"),
    *of(tenfold_later, *STEPS, named="lr_policy", verdict="not checkable"),
    *of(ends_early, "max_iter"),
    *of(another_whole, "max_iter", "test_interval", "random_seed", verdict="not checkable"),
    *of(other_tests, "test_iter"),
    *of(another_test_net, "test_iter"),
    *of(more_states_than_nets, "test_state"),
    *of(of_the_other_phase, "train_state", "test_state"),
    *of(net_of_another_variant, "net", "train_net", "test_net"),
    *of(two_nets, "net_param", "train_net", named="net"),
    *of(net_in_place_changed, "Convolution", "InnerProduct", "Eltwise", "SoftmaxWithLoss", "Data",
        named="net_param"),
    *of(initial_weights, "weights", verdict="not checkable"),
]  # fmt: skip
