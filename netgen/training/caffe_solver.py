"""Caffe's solver for one round: restore, replay, step, test, drop the rate, write a snapshot.

Only used in a child process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netgen.caffe.caffe_pb2 import SolverState
from netgen.cost.memory import FLOAT
from netgen.system.files import MODELS, read_file
from netgen.training.plan import TrainingPlan
from netgen.training.snapshots import KINDS, Snapshot, check_written, require_space

COPIES = 3  # of the parameters in a snapshot, with momentum; some solvers keep two of that


class CaffeSolver:
    """A pycaffe solver; `blobs` has the sizes of each layer's parameters."""

    def __init__(self, plan: TrainingPlan, solver_file: Path) -> None:
        import caffe

        if plan.gpu is None:
            caffe.set_mode_cpu()
        else:
            caffe.set_device(plan.gpu)
            caffe.set_mode_gpu()
        self._caffe, self._plan = caffe, plan
        self._solver = caffe.get_solver(str(solver_file))
        self._accumulated = max(plan.parameters.iter_size, 1)
        self._losses = {name: self.net.blobs[name] for name in plan.losses}
        self.blobs = {
            name: [blob.count for blob in blobs] for name, blobs in self.net.params.items()
        }

    @property
    def net(self) -> Any:
        """The training net."""
        return self._solver.net

    @property
    def iteration(self) -> int:
        """Updates of the weights so far."""
        return int(self._solver.iter)

    def load_weights(self, weights: Path) -> None:
        """Copy the weights of a caffemodel into the layers of the same names."""
        self.net.copy_from(str(weights))

    def restore(self, snapshot: Snapshot) -> None:
        """Load weights, momentum, iteration and step of a snapshot."""
        state = SolverState.FromString(read_file(snapshot.solverstate, MODELS))
        state.ClearField("learned_net")  # its path: the run may have been moved
        self._restore(state, snapshot.path.parent)
        self.net.copy_from(str(snapshot.model))

    def _restore(self, state: SolverState, folder: Path) -> None:
        with _temporary(folder / ".restored.solverstate") as file:
            content = state.SerializeToString()
            require_space(folder, len(content))
            file.write_bytes(content)
            self._solver.restore(str(file))

    def replay(self, iterations: int, on_progress: Callable[[int, int], bool]) -> bool:
        """Make the data layers read the batches of so many iterations, without computing.

        Parameters
        ----------
        iterations
            The number of iterations.
        on_progress
            Called before each batch with the batches done and in total; False stops.

        Returns
        -------
        bool
            False if `on_progress` stopped it.
        """
        return _forward(self.net, iterations * self._accumulated, on_progress)

    def replay_tests(self, tests: int, on_progress: Callable[[int, int], bool]) -> bool:
        """Make the test net's data layers read the batches of so many tests; see `replay`.

        A test that covers the test set ends at its first record: then there is nothing to do.
        """
        batches = tests * (self._plan.parameters.test_iter or [0])[0]
        if not batches or batches * self._plan.test_batch % self._plan.test_records == 0:
            return True
        return _forward(self._solver.test_nets[0], batches, on_progress)

    def step(self) -> dict[str, float]:
        """Do one iteration; return each loss of its (last) batch, output -> value."""
        if self._plan.reseed:
            seed = (self._plan.seed(0) * 1_000_003 + self.iteration) % 2**32
            self._caffe.set_random_seed(seed)
        self._solver.step(1)
        return {name: float(blob.data.flat[0]) for name, blob in self._losses.items()}

    def test(self, on_progress: Callable[[int, int], bool]) -> dict[str, float] | None:
        """Run the test net; return each output's mean, or None if `on_progress` stopped it."""
        net, batches = self._solver.test_nets[0], self._plan.parameters.test_iter[0]
        net.share_with(self.net)
        outputs = {name: net.blobs[name] for name in net.outputs if net.blobs[name].count == 1}
        sums = dict.fromkeys(outputs, 0.0)
        last = len(net.layers) - 1
        for batch in range(batches):
            if not on_progress(batch, batches):
                return None
            net._forward(0, last)
            for name, blob in outputs.items():
                sums[name] += float(blob.data.flat[0])
        return {name: total / batches for name, total in sums.items()}

    def write(self, path: Path, step: int) -> None:
        """Write weights, momentum, iteration and step to the two files of a snapshot.

        Parameters
        ----------
        path
            The path of the files, without their endings.
        step
            The number of drops so far. If the solver's own differs, it takes this one: the rate
            drops, while the data layers continue.

        Raises
        ------
        OSError
            The disk is full.
        """
        size = FLOAT * sum(sum(sizes) for sizes in self.blobs.values())
        require_space(path.parent, COPIES * size)
        self._solver.snapshot()
        check_written(path, self.blobs)
        file = path.with_name(path.name + KINDS[1])
        state = SolverState.FromString(read_file(file, MODELS))
        if state.current_step == step:
            return
        state.current_step = step
        file.write_bytes(state.SerializeToString())
        state.ClearField("learned_net")  # the solver has these weights
        self._restore(state, path.parent)


def _forward(net: Any, batches: int, on_progress: Callable[[int, int], bool]) -> bool:
    """Run only a net's data layers."""
    layers = [index for index, layer in enumerate(net.layers) if layer.type == "Data"]
    for batch in range(batches):
        if not on_progress(batch, batches):
            return False
        for index in layers:
            net._forward(index, index)
    return True


@contextmanager
def _temporary(file: Path) -> Iterator[Path]:
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
