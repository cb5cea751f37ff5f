"""What can go wrong with a training: one clear message each, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from support.once import Once
from support.paths import ROOT
from support.training import Place, child_of, copy_of, kill, make_place, wait_for

from netgen.caffe.caffe_pb2 import Datum
from netgen.training.fingerprint import EngineFingerprint
from netgen.training.snapshots import KINDS, VERSION, File, Manifest, newest_whole, seal
from netgen.training.state import TrainingState

RUN = ("--run", "runs/x", "--plateau", "off")
LABELS = "data/train/label_item.lmdb"


@pytest.fixture(scope="session")
def shared(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a finished run of one round."""

    def make() -> Place:
        place = make_place(tmp_path_factory.mktemp("faults"))
        place.train("runs/whole", "--plateau", "off")
        return place

    return once("training-faults", make)


@pytest.fixture
def place(shared: Place, tmp_path: Path) -> Place:
    return copy_of(shared, tmp_path)


def rewrite(path: Path, change: Callable[[int, Datum], Datum | None]) -> None:
    """Change a database's records; None takes one away."""
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for index, (key, value) in enumerate(list(transaction.cursor())):
            changed = change(index, Datum.FromString(value))
            if changed is None:
                transaction.delete(key)
            else:
                transaction.put(key, changed.SerializeToString())


def test_a_run_at_work_is_not_disturbed(place: Place) -> None:
    with place.start("train", "--variant", "xs", *RUN) as process:
        wait_for(place.path("runs/x", "run.json").exists, process)
        for words in (("--variant", "xs", *RUN), ("--resume", "--run", "runs/x")):
            said = place.refused(*words)
            assert (
                f"runs/x: another `netgen train` is running in it (process {process.pid})" in said
            )
        process.communicate(timeout=240)
    assert process.returncode == 0
    assert place.weights("runs/x") == place.weights("runs/whole")


def test_a_run_is_never_begun_twice_in_one_folder(place: Place) -> None:
    before = place.weights("runs/whole")
    said = place.refused("--variant", "xs", "--run", "runs/whole")
    assert "there is a run already: resume it (--resume), or name another folder" in said
    assert place.weights("runs/whole") == before


def test_a_folder_of_something_else_is_left_alone(place: Place) -> None:
    before = sorted(place.path("models", "xs").iterdir())
    assert "holds other files" in place.refused("--variant", "xs", "--run", "models/xs")
    assert sorted(place.path("models", "xs").iterdir()) == before


def test_nothing_to_resume(place: Place) -> None:
    said = place.refused("--variant", "xs", "--resume", "--run", "runs/never")
    assert "runs/never: no run to resume" in said
    assert not place.path("runs", "never").exists()


def test_a_run_killed_before_its_record_was_written_is_begun_again(place: Place) -> None:
    """Also after somebody tried to resume it."""
    place.path("runs/young", "snapshots").mkdir(parents=True)
    place.path("runs/young", "lock").write_text("1\n")
    assert "no run to resume" in place.refused("--variant", "xs", "--resume", "--run", "runs/young")
    place.train("runs/young")
    assert place.weights("runs/young") == place.weights("runs/whole")


def test_a_finished_run_has_nothing_left_to_do(place: Place) -> None:
    before = place.journal("runs/whole")
    assert "all iterations of the solver are done" in place.resume("runs/whole")
    assert place.journal("runs/whole") == before


def test_a_run_that_was_killed_before_its_last_curves_were_drawn_gets_them(
    place: Place,
) -> None:
    place.path("runs/whole", "curves.png").unlink()
    assert "all iterations of the solver are done" in place.resume("runs/whole")
    assert place.path("runs/whole", "curves.png").stat().st_size > 5_000


def test_what_was_decided_at_the_start_stays(place: Place) -> None:
    said = place.refused("--resume", "--run", "runs/whole", "--patience", "3")
    assert "--patience was decided when the run began" in said


def test_another_variants_run(place: Place) -> None:
    said = place.refused("--variant", "x0", "--resume", "--run", "runs/whole")
    assert "a run of 'xs', not of 'x0'" in said


def test_a_snapshot_of_another_network(place: Place) -> None:
    """Its manifest fits its files; it is the manifest's network that is another."""
    manifest = place.path("runs/whole", "snapshots/xs_iter_60.json")
    manifest.write_text(manifest.read_text().replace(json.loads(manifest.read_text())["net"], "0"))
    said = place.refused("--resume", "--run", "runs/whole")
    assert "xs_iter_60.json: a snapshot of another network" in said


def test_a_network_that_changed_since(place: Place) -> None:
    place.edit("runs/whole/train_val.prototxt", lambda text: text + "\n")
    said = place.refused("--resume", "--run", "runs/whole")
    assert "not the network that the run began with" in said


@pytest.mark.parametrize("damage", ["gone", "cut off", "changed"])
def test_a_damaged_snapshot_is_passed_over_for_an_older_one(place: Place, damage: str) -> None:
    whole = place.weights("runs/whole")
    model = place.path("runs/whole", "snapshots/xs_iter_60.caffemodel")
    if damage == "gone":
        model.unlink()
    else:
        model.write_bytes(
            whole[:-1] if damage == "cut off" else whole[:-1] + bytes([whole[-1] ^ 1])
        )
    said = place.resume("runs/whole")
    assert "the snapshot of iteration 60 cannot be used" in said
    assert "resuming from iteration 50" in said
    assert place.weights("runs/whole") == whole


@pytest.mark.parametrize("damage", ["renamed", "of no files", "of another iteration"])
def test_a_manifest_vouches_only_for_the_files_beside_it(tmp_path: Path, damage: str) -> None:
    """Else weights that nothing was compared with would be resumed from, or tested."""

    def manifest(files: dict[str, File]) -> Manifest:
        engine = EngineFingerprint("1.0.0", "", "", 1, "CPU")
        return Manifest(VERSION, files, "", 1, engine, TrainingState(iteration=60))

    for iteration in (60, 70):
        for kind in KINDS:
            (tmp_path / f"xs_iter_{iteration}{kind}").write_text(f"{kind} of {iteration}")
    file = seal(tmp_path / "xs_iter_60", manifest).path
    told: list[str] = []
    assert newest_whole(tmp_path, told.append)
    if damage == "renamed":
        file.rename(tmp_path / "xs_iter_70.json")
    else:
        content = json.loads(file.read_text())
        if damage == "of no files":
            content["files"] = {}
        else:
            content["state"]["iteration"] = 50
        file.write_text(json.dumps(content))
    assert newest_whole(tmp_path, told.append) is None
    [message] = told
    assert "cannot be used" in message
    assert ".json" in message


def test_a_run_whose_snapshots_are_all_damaged_is_not_begun_anew(place: Place) -> None:
    for model in place.path("runs/whole", "snapshots").glob("*.caffemodel"):
        model.unlink()
    said = place.refused("--resume", "--run", "runs/whole")
    assert "no snapshot is usable" in said
    assert list(place.path("runs/whole", "snapshots").glob("*.solverstate"))


# A snapshot that is told last was perhaps not whole: the one before it was.
@pytest.mark.parametrize(("last", "reached"), [("end", 60), ("snapshot", 50)])
def test_a_run_whose_snapshots_are_gone_is_not_begun_anew(
    place: Place, last: str, reached: int
) -> None:
    """Finished or killed: what it journalled stays."""
    journal = place.path("runs/whole", "log.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    while f'"event": "{last}"' not in lines[-1]:
        lines.pop()
    journal.write_text("".join(lines))
    shutil.rmtree(place.path("runs/whole", "snapshots"))
    said = place.refused("--resume", "--run", "runs/whole")
    told = f"its journal tells of a snapshot at iteration {reached}, but runs/whole/snapshots has"
    assert told in said
    assert "begin another run (--run)" in said
    assert journal.read_text() == "".join(lines)


def test_a_run_killed_before_its_first_snapshot_was_whole_is_begun_anew(place: Place) -> None:
    """Killed between the line in its journal and the manifest: there is nothing to lose."""
    whole = place.weights("runs/whole")
    journal, folder = place.path("runs/whole", "log.jsonl"), place.path("runs/whole", "snapshots")
    lines = journal.read_text().splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if '"event": "snapshot"' in line)
    journal.write_text("".join(lines[: first + 1]))
    for file in folder.iterdir():
        if not file.name.startswith("xs_iter_10.") or file.suffix == ".json":
            file.unlink()
    place.resume("runs/whole")
    assert place.weights("runs/whole") == whole


def test_other_threads_would_give_other_bits(place: Place) -> None:
    manifest = place.path("runs/whole", "snapshots/xs_iter_60.json")
    manifest.unlink()
    more = {"OPENBLAS_NUM_THREADS": "2"}
    said = place.refused("--resume", "--run", "runs/whole", **more)
    assert "the number of BLAS threads was 1, now 2" in said
    assert "done at iteration 60" in place.resume("runs/whole", "--inexact", **more)


def test_databases_that_are_not_aligned(place: Place) -> None:
    rewrite(place.folder / LABELS, lambda index, datum: None if index == 3 else datum)
    said = place.refused("--variant", "xs", *RUN)
    assert "different numbers of records" in said
    assert not place.path("runs", "x").exists()


def test_an_empty_database(place: Place) -> None:
    rewrite(place.folder / LABELS, lambda *_: None)
    assert "label_item.lmdb: an LMDB without records" in place.refused("--variant", "xs", *RUN)


def test_a_database_that_is_cut_off(place: Place) -> None:
    file = place.folder / LABELS / "data.mdb"
    os.truncate(file, file.stat().st_size // 2)
    assert "label_item.lmdb: not a readable LMDB" in place.refused("--variant", "xs", *RUN)


def test_a_label_out_of_range(place: Place) -> None:
    def eleventh(index: int, datum: Datum) -> Datum:
        if index == 7:
            datum.float_data[0] = 10
        return datum

    rewrite(place.folder / LABELS, eleventh)
    said = place.refused("--variant", "xs", *RUN)
    assert "record 7 has the label 10, but the network has 10 classes (0 to 9)" in said


def test_weights_of_another_network(place: Place) -> None:
    def rename(text: str) -> str:
        return text.replace('"fc_item"', '"fc_other"')

    place.edit("models/xs/train_val.prototxt", rename)
    weights = "runs/whole/snapshots/xs_iter_60.caffemodel"
    said = place.refused("--variant", "xs", *RUN, "--weights", weights)
    assert "not weights of models/xs/train_val.prototxt" in said
    assert "it lacks fc_other" in said


def test_a_gpu_that_caffe_was_not_built_for(place: Place) -> None:
    said = place.refused("--variant", "xs", *RUN, "--gpu", "0")
    assert "was built for the CPU only" in said
    assert not place.path("runs", "x").exists()


def test_several_gpus_that_caffe_was_not_built_for(place: Place) -> None:
    assert "was built for the CPU only" in place.refused("--variant", "xs", *RUN, "--gpu", "0,1")


def test_a_limit_that_nothing_keeps_is_refused(place: Place) -> None:
    said = place.refused("--variant", "xs", *RUN, "--gpu", "0,1", "--timeout", "60")
    assert "--timeout is for training on one device: omit it with several GPUs" in said


def test_a_solver_that_is_not_there(place: Place) -> None:
    said = place.refused("--variant", "x7")
    assert "solvers/x7.prototxt does not exist: write it with `netgen build`" in said


def test_a_variant_and_a_solver_are_not_both_followed(place: Place) -> None:
    said = place.refused("--variant", "xs", "--solver", "solvers/xs.prototxt")
    assert "--solver another file: give one of them" in said
    assert not place.path("runs/xs", "run.json").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--window", "5"), "--window is for plateaus, which --plateau off ignores: omit it"),
        (("--patience", "2"), "--patience is for plateaus"),
        (("--min-gain", "0.01"), "--min-gain is for plateaus"),
        (("--drops", "3"), "--drops is for plateaus"),
        (("--inexact",), "--inexact is for --resume: add that, or omit it"),
    ],
)
def test_options_without_effect_are_refused(
    place: Place, words: tuple[str, ...], reason: str
) -> None:
    assert reason in place.refused("--variant", "xs", *RUN, *words)
    assert not place.path("runs", "x").exists()


def test_a_task_that_is_not_there(place: Place) -> None:
    said = place.refused("--variant", "xs", "--run", "runs/x", "--best", "colour")
    assert "--best colour: no such task or test output: choose from item, family, season" in said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("max_iter: -5", "max_iter: -5: give 1 or more"),
        ("test_iter: -3", "test_iter: -3: give 1 or more"),
        ("iter_size: 0", "iter_size: 0: give 1 or more"),
        ("base_lr: nan", "base_lr: nan: give a number that is not negative"),
        ("base_lr: -1", "base_lr: -1: give a number that is not negative"),
        ('type: "Foo"', "type: 'Foo': Caffe has SGD, "),
        ('lr_policy: "foo"', "lr_policy: 'foo': Caffe has fixed, "),
        ('train_net: "models/xs/train_val.prototxt"', "another network beside it"),
        ('weights: "some.caffemodel"', "takes them by --weights"),
    ],
)
def test_a_solver_that_caffe_would_die_of_or_misread_is_refused(
    place: Place, line: str, told: str
) -> None:
    field = line.partition(":")[0]

    def change(text: str) -> str:
        lines = [kept for kept in text.splitlines() if not kept.startswith(f"{field}:")]
        return "\n".join([*lines, line, ""])

    place.edit("solvers/xs.prototxt", change)
    assert told in place.refused("--variant", "xs", *RUN)
    assert not (place.folder / "runs/x").exists()


def test_a_policy_of_the_solvers_own_is_followed_only_when_asked(place: Place) -> None:
    step = 'lr_policy: "step"\ngamma: 0.5\nstepsize: 20'
    place.edit("solvers/xs.prototxt", lambda text: text.replace('lr_policy: "fixed"', step))
    assert "add `--plateau off`" in place.refused("--variant", "xs", "--run", "runs/x")
    place.train("runs/x", "--plateau", "off")
    place.caffe("-solver", "runs/x/solver.prototxt")
    stock = place.folder / "models/xs/snapshots/xs_iter_60.caffemodel"
    assert place.weights("runs/x") == stock.read_bytes()


def test_a_loss_that_is_no_number_keeps_the_last_good_snapshot(place: Place) -> None:
    """The rate rises to infinity at iteration 25: its update ruins the weights."""
    policy = 'lr_policy: "multistep"\ngamma: 1e38\nstepvalue: 25'
    place.edit("solvers/xs.prototxt", lambda text: text.replace('lr_policy: "fixed"', policy))
    said = place.refused("--variant", "xs", *RUN)
    assert "the loss is nan" in said or "are not finite" in said
    assert "the first blob with a number that is not finite is 'conv1'" in said
    snapshots = place.path("runs/x", "snapshots")
    assert (snapshots / "xs_iter_20.json").exists()
    assert not (snapshots / "xs_iter_30.json").exists()
    assert place.journal("runs/x")[-1]["why"] == "failed"


def test_a_loss_that_explodes_stops_the_run(place: Place) -> None:
    place.edit("solvers/xs.prototxt", lambda text: text.replace("base_lr: 0.01", "base_lr: 1e4"))
    said = place.refused("--variant", "xs", *RUN, "--explosion", "3")
    assert "3 times the first" in said or "not finite" in said or "the loss is" in said


def test_a_killed_caffe_is_told_from_an_aborted_one(place: Place) -> None:
    with place.start("train", "--variant", "xs", *RUN) as process:
        wait_for(place.path("runs/x", "snapshots/xs_iter_10.json").exists, process)
        kill(child_of(process))
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "Caffe's process was killed" in said
    assert "netgen train --resume --run runs/x" in said
    assert "Traceback" not in said


def test_a_full_disk_loses_nothing(place: Place) -> None:
    """A disk with room for two snapshots and a half; it is made larger, and the run goes on."""
    private = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    trial = ["mount", "-t", "tmpfs", "none", str(place.folder / "data")]
    if subprocess.run([*private, *trial], capture_output=True, check=False).returncode:
        pytest.skip("no private mounts here")
    size = sum(
        path.stat().st_size for path in place.path("runs/whole", "snapshots").glob("xs_iter_60.*")
    )
    train = f"{sys.executable} -c 'from netgen.commands.cli import main; main()' train"
    script = f"""
    mkdir -p full && mount -t tmpfs -o size={int(3.5 * size)} tmpfs full
    {train} --variant xs --run full/x --plateau off --keep 9 && exit 1
    ls full/x/snapshots
    mount -o remount,size={20 * size} full
    {train} --resume --run full/x || exit 2
    cp full/x/snapshots/xs_iter_60.caffemodel .
    """
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [*private, "sh", "-c", script], cwd=place.folder, env=environment, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "resuming from iteration" in done.stdout
    assert (place.folder / "xs_iter_60.caffemodel").read_bytes() == place.weights("runs/whole")


def test_a_state_without_its_manifest_does_not_exist(place: Place) -> None:
    snapshots = place.path("runs/whole", "snapshots")
    (snapshots / "xs_iter_60.json").unlink()
    shutil.copy(snapshots / "xs_iter_50.solverstate", snapshots / "xs_iter_55.solverstate")
    whole = place.weights("runs/whole")
    assert "resuming from iteration 50" in place.resume("runs/whole")
    assert not (snapshots / "xs_iter_55.solverstate").exists()
    assert place.weights("runs/whole") == whole
