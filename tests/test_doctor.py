"""`netgen doctor`: every probe on a machine where it finds all well, and on one where it fails."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.networks import dataset, make_databases

from netgen.caffe import caffemodel
from netgen.caffe.engine import Engine
from netgen.commands.cli import main
from netgen.doctor import caffe_and_gpu, inputs, resources
from netgen.doctor.findings import DoctorFinding, DoctorRequest, Status, ok
from netgen.doctor.probes import PROBES, Probe, examine
from netgen.network.dataset import Dataset, write_dataset

TITAN = "NVIDIA GeForce GTX TITAN X, 535.183.01, 12212, 12000, 5.2"


def doctor(*words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *words])


def only(findings: list[DoctorFinding], about: str) -> DoctorFinding:
    (found,) = [finding for finding in findings if finding.about == about]
    return found


def program(folder: Path, name: str, script: str) -> Path:
    """A program of that name in a folder of its own."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> tuple[Dataset, Path]:
    """A dataset of twelve images a split, and its dataset.toml."""
    made = dataset({"noun": 7, "adj": 3}, (3, 32, 32), records=12, folder=str(tmp_path / "data"))
    make_databases(made, tmp_path)
    write_dataset(made, tmp_path / "dataset.toml")
    return made, tmp_path / "dataset.toml"


# ---- the page ------------------------------------------------------------------------------------


def test_a_piped_page_has_no_spaces_at_the_ends_of_its_lines(tmp_path: Path) -> None:
    told = doctor("--out", str(tmp_path))
    lines = told.output.splitlines()
    assert len({len(line) for line in lines}) > 5
    assert not [line for line in lines if line != line.rstrip()]


def test_the_page_of_a_machine_that_can_train_has_nothing_missing(
    small: tuple[Dataset, Path], tmp_path: Path
) -> None:
    told = doctor("--dataset", str(small[1]), "--out", str(tmp_path), "--json")
    assert told.exit_code == 0, told.output
    findings = {row["about"]: row for row in json.loads(told.output)["findings"]}
    assert list(findings) == [
        "Python", "packages", "Caffe", "Caffe's source", "caffe on PATH", "import caffe", "BLAS",
        "LMDB", "OpenCV", "BLAS kernel", "GPU", "memory", "disk", "databases", "weights",
        "permissions",
    ]  # fmt: skip
    assert not any(row["status"] == "missing" for row in findings.values())
    assert "libopenblas" in findings["BLAS"]["what"]


def test_what_is_named_is_needed_and_its_lack_makes_the_exit_code_1(tmp_path: Path) -> None:
    told = doctor("--weights", str(tmp_path / "none.caffemodel"), "--out", str(tmp_path))
    assert told.exit_code == 1
    assert "none.caffemodel: No such file" in told.output
    assert "next: get ResNet-50-model.caffemodel" in told.output


def test_every_lack_has_a_next_step(tmp_path: Path) -> None:
    told = doctor("--dataset", "no.toml", "--gpu", "--out", str(tmp_path / "none"), "--json")
    lacks = [row for row in json.loads(told.output)["findings"] if row["status"] != "ok"]
    assert len(lacks) >= 4
    assert sum("no.toml" in row["what"] for row in lacks) == 1  # and not by each that needs it
    assert all(row["next_step"] for row in lacks)


def test_a_variant_that_there_is_not_is_wrong_usage() -> None:
    told = doctor("--variant", "xz")
    assert told.exit_code == 2
    assert "xz" in told.output


def test_a_network_that_is_not_trained_is_wrong_usage() -> None:
    told = doctor("--variant", "deepsentibank")
    assert told.exit_code == 2
    assert "not trained: `netgen eval`" in told.output


def _abort(_: DoctorRequest) -> list[DoctorFinding]:
    os.abort()


def _raise(_: DoctorRequest) -> list[DoctorFinding]:
    raise KeyError("MemAvailable")


def _be_well(_: DoctorRequest) -> list[DoctorFinding]:
    return [ok("after", "well")]


def test_a_probe_that_breaks_or_ends_its_process_is_a_finding_and_the_next_is_asked() -> None:
    table = (Probe("aborting", _abort, alone=True), Probe("raising", _raise), Probe("x", _be_well))
    aborted, raised, after = examine(DoctorRequest(), table)
    assert (aborted.about, aborted.status) == ("aborting", Status.MISSING)
    assert "SIGABRT" in aborted.what
    assert raised.status is Status.MISSING
    assert "MemAvailable" in raised.what
    assert after.status is Status.OK


def test_probes_that_load_caffe_or_read_databases_run_in_a_process_of_their_own() -> None:
    alone = {probe.about for probe in PROBES if probe.alone}
    assert alone == {"import caffe", "databases"}


# ---- each probe, failing -------------------------------------------------------------------------


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["click>=8.1", "lmdb>=999", "no-such-package>=1", 'other>1; extra == "dev"']
    monkeypatch.setattr(inputs, "requires", lambda _: wanted)
    found = only(inputs.examine_packages(DoctorRequest()), "packages")
    assert found.status is Status.MISSING
    lmdb = metadata.version("lmdb")
    assert found.what == f"lmdb is {lmdb}, wanted >=999; no-such-package is not installed"


def test_no_caffe_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = only(caffe_and_gpu.examine_program(DoctorRequest()), "Caffe")
    assert found.status is Status.MISSING
    assert "./run setup" in found.next_step


def test_a_caffe_that_a_shell_would_not_find_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = only(caffe_and_gpu.examine_program(DoctorRequest()), "caffe on PATH")
    assert found.status is Status.WARNING
    assert "activate" in found.next_step


def test_another_caffe_on_the_path_is_a_warning_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = program(tmp_path / "other", "caffe", "exit 0")
    monkeypatch.setenv("PATH", f"{other}:/usr/bin:/bin")
    found = only(caffe_and_gpu.examine_program(DoctorRequest()), "caffe on PATH")
    assert found.status is Status.WARNING
    assert f"{other}/caffe" in found.what


Import = Callable[[str], list[DoctorFinding]]


@pytest.fixture
def importing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    """Run the probe where ``import caffe`` runs this script instead."""

    def run(script: str) -> list[DoctorFinding]:
        (tmp_path / "caffe").mkdir()
        (tmp_path / "caffe/__init__.py").write_text(script)
        monkeypatch.syspath_prepend(tmp_path)
        probe = next(probe for probe in PROBES if probe.about == "import caffe")
        return list(examine(DoctorRequest(), [probe]))

    return run


def test_a_caffe_that_python_cannot_import_is_missing(importing: Import) -> None:
    (found,) = importing("import _caffe_that_is_not_there")
    assert found.status is Status.MISSING
    assert "_caffe_that_is_not_there" in found.what


def test_a_caffe_that_aborts_when_it_is_imported_is_a_finding(importing: Import) -> None:
    (found,) = importing("import os; os.abort()")
    assert found.status is Status.MISSING
    assert "SIGABRT" in found.what


def test_a_caffe_without_lmdb_opencv_and_openblas_is_told_what_it_cannot_do(
    importing: Import,
) -> None:
    found = {finding.about: finding for finding in importing("")}
    assert found["import caffe"].status is Status.OK
    assert found["LMDB"].status is found["OpenCV"].status is Status.MISSING
    assert "cannot read the databases" in found["LMDB"].what
    assert found["BLAS"].status is Status.WARNING


def nvidia_smi(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    monkeypatch.setenv("PATH", f"{program(folder / 'smi', 'nvidia-smi', script)}:/usr/bin:/bin")


def test_no_gpu_is_a_warning_and_missing_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert only(caffe_and_gpu.examine_gpus(DoctorRequest()), "GPU").status is Status.WARNING
    assert only(caffe_and_gpu.examine_gpus(DoctorRequest(gpu=True)), "GPU").status is Status.MISSING


def test_a_driver_that_does_not_work_is_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nvidia_smi(monkeypatch, tmp_path, "echo 'Driver/library version mismatch'; exit 18")
    found = only(caffe_and_gpu.examine_gpus(DoctorRequest(gpu=True)), "GPU")
    assert found.status is Status.MISSING
    assert "Driver/library version mismatch" in found.what


def test_a_gpu_that_this_caffe_cannot_use_is_found_with_its_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nvidia_smi(monkeypatch, tmp_path, f"echo '{TITAN}'")
    findings = caffe_and_gpu.examine_gpus(DoctorRequest(gpu=True))
    assert "TITAN X, 11.9 GiB, driver 535.183.01" in only(findings, "GPU").what
    unused = only(findings, "Caffe on the GPU")
    assert unused.status is Status.MISSING
    assert "built for the CPU only" in unused.what
    assert 'CAFFE_GPU=1 CAFFE_CUDA_ARCHITECTURES="52" ./run setup' in unused.next_step


@pytest.mark.parametrize(
    ("built_for", "card", "runs"),
    [
        ("75", 75, True),
        ("75", 120, True),
        ("75", 52, False),
        ("75-real", 75, True),
        ("80-real", 86, True),
        ("75-real", 86, False),
        ("52-real;89", 52, True),
        ("52-real;89", 75, False),
        ("52;75-real", 61, True),
    ],
)
def test_kernels_run_on_their_generation_and_on_later_ones_only_if_translated(
    built_for: str, card: int, runs: bool
) -> None:
    build = {"gpu": f"CUDA 12.9, architectures {built_for}, cuDNN no"}
    assert caffe_and_gpu.runs_on(Engine(Path("caffe"), "1.0", True, build), card) == runs


def test_a_network_that_does_not_fit_the_memory_is_missing_memory(
    monkeypatch: pytest.MonkeyPatch, small: tuple[Dataset, Path]
) -> None:
    monkeypatch.setattr("netgen.system.machine.machine_memory", lambda: (2**30, 2**20))
    (found,) = resources.examine_memory(DoctorRequest(dataset=small[1]))
    assert found.status is Status.MISSING
    assert "GiB to train" in found.what
    assert "--batch-size" in found.next_step


def test_a_disk_without_room_for_the_snapshots_is_missing_room(
    monkeypatch: pytest.MonkeyPatch, small: tuple[Dataset, Path], tmp_path: Path
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    request = DoctorRequest(dataset=small[1], out=tmp_path / "not/yet/made")
    (found,) = resources.examine_disk(request)
    assert found.status is Status.MISSING
    assert "snapshots of xs" in found.what


def test_databases_still_to_be_made_count_for_the_disk(tmp_path: Path) -> None:
    (found,) = resources.examine_disk(DoctorRequest(out=tmp_path))
    assert "data/mtvso/train/images.lmdb: 43.1 GiB" in found.what


def test_the_papers_databases_are_not_needed_until_a_dataset_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = inputs.examine_databases(DoctorRequest())
    assert found.status is Status.WARNING


def test_a_database_of_another_size_is_missing_records(small: tuple[Dataset, Path]) -> None:
    toml = small[1]
    toml.write_text(toml.read_text().replace("records = 12", "records = 13"))
    found = inputs.examine_databases(DoctorRequest(dataset=toml))
    assert [finding.status for finding in found] == [Status.MISSING] * 2
    assert "train: records: dataset.toml says 13, but there are: " in found[0].what
    assert "images 12" in found[0].what


def test_databases_that_are_not_aligned_are_named(small: tuple[Dataset, Path]) -> None:
    import lmdb

    made, toml = small
    with (
        lmdb.open(made.test.labels["adj"]) as environment,
        environment.begin(write=True) as transaction,
    ):
        value = transaction.pop(b"%08d" % 11)
        assert value is not None
        transaction.put(b"%08d" % 12, value)
    (found,) = inputs.examine_databases(DoctorRequest(dataset=toml))
    assert found.status is Status.MISSING
    assert "test: keys: record 11 has the keys" in found.what


def test_a_database_that_was_cut_off_is_a_finding(small: tuple[Dataset, Path]) -> None:
    made, toml = small
    file = Path(made.train.images) / "data.mdb"
    os.truncate(file, file.stat().st_size - 4096)
    assert "cut off" in inputs.examine_databases(DoctorRequest(dataset=toml))[0].what


def test_other_weights_than_hes_are_a_warning_with_their_sum(tmp_path: Path) -> None:
    file = tmp_path / "other.caffemodel"
    file.write_bytes(b"other")
    (found,) = inputs.examine_weights(DoctorRequest(weights=file))
    assert found.status is Status.WARNING
    assert hashlib.sha1(b"other", usedforsecurity=False).hexdigest() in found.what


def test_a_baselines_weights_are_named_and_their_sum_is_told(tmp_path: Path) -> None:
    (found,) = inputs.examine_weights(DoctorRequest(variant="caffenet-noun"))
    assert "get bvlc_reference_caffenet.caffemodel" in found.next_step
    file = tmp_path / "any.caffemodel"
    file.write_bytes(b"any")
    (found,) = inputs.examine_weights(DoctorRequest(variant="caffenet-noun", weights=file))
    assert hashlib.sha1(b"any", usedforsecurity=False).hexdigest() in found.what


def test_hes_weights_are_known_by_their_sum(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "he.caffemodel"
    file.write_bytes(b"stands for He's")
    monkeypatch.setattr(caffemodel, "HE_RESNET50", caffemodel.sha1(file))
    assert inputs.examine_weights(DoctorRequest(weights=file))[0].status is Status.OK


def test_a_folder_that_cannot_be_written_is_missing_permission() -> None:
    (found,) = inputs.examine_permissions(DoctorRequest(out=Path("/proc")))
    assert found.status is Status.MISSING
    assert found.what.startswith("/proc: ")


def test_a_network_without_its_snapshot_folder_is_found_before_caffe_aborts(tmp_path: Path) -> None:
    (tmp_path / "models/xs").mkdir(parents=True)
    (tmp_path / "models/xs/train_val.prototxt").write_text("")
    (found,) = inputs.examine_permissions(DoctorRequest(out=tmp_path))
    assert found.status is Status.MISSING
    assert found.next_step == f"`mkdir {tmp_path / 'models/xs/snapshots'}`"
