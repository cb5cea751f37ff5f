"""`netgen cluster`: the jobs pass their schedulers' checks, and do what a row needs, once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from netgen import paper
from netgen.cli import main
from netgen.variants import variants

ROWS = list(variants(list(paper.TASKS)))
# Stands for netgen: notes its words, makes what the real one would, and fails once if told to.
NETGEN = """\
#!/bin/bash
echo "$*" >>said
case $1 in
  init) mkdir -p models/xs && touch models/xs/initial.caffemodel ;;
  train)
    mkdir -p runs/xs/snapshots && touch runs/xs/snapshots/xs_iter_{9,10}.caffemodel
    if [[ -e preempted ]]; then rm preempted; exit 130; fi ;;
  eval) touch "${@: -1}" ;;
esac
"""


def cluster(*words: str) -> str:
    result = CliRunner().invoke(main, ["cluster", *words])
    assert result.exit_code == 0, result.output
    return result.output


def run_row(folder: Path, row: int) -> int:
    """Run one job of the array, with a netgen that pretends, in a folder."""
    (folder / "table2.sh").write_text(cluster("--slurm", "--folder", str(folder)))
    (folder / "netgen").write_text(NETGEN)
    (folder / "netgen").chmod(0o755)
    env = os.environ | {"SLURM_ARRAY_TASK_ID": str(row), "PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(["/bin/bash", "table2.sh"], cwd=folder, env=env, check=False).returncode


def said(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / "said").read_text().splitlines()]


def test_a_row_is_begun_trained_and_evaluated_from_its_newest_snapshot(tmp_path: Path) -> None:
    assert run_row(tmp_path, ROWS.index("xs")) == 0
    assert said(tmp_path) == ["init", "train", "eval"]
    assert "--weights runs/xs/snapshots/xs_iter_10.caffemodel" in (tmp_path / "said").read_text()


def test_a_row_that_was_preempted_is_resumed_and_one_that_is_done_is_left_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "preempted").touch()
    assert run_row(tmp_path, ROWS.index("xs")) == 130  # and nothing half trained is evaluated
    assert said(tmp_path) == ["init", "train"]
    assert run_row(tmp_path, ROWS.index("xs")) == 0
    assert (tmp_path / "said").read_text().splitlines()[2].endswith("--resume")
    assert run_row(tmp_path, ROWS.index("xs")) == 0
    assert said(tmp_path) == ["init", "train", "train", "eval"]


def test_the_array_has_one_job_a_row_of_table_2() -> None:
    assert f"#SBATCH --array=0-{len(ROWS) - 1}\n" in cluster("--slurm")
    assert f"variants=({' '.join(ROWS)})\n" in cluster("--slurm")


def test_shellcheck_finds_nothing_in_the_script_even_for_odd_folders(tmp_path: Path) -> None:
    script = tmp_path / "table2.sh"
    script.write_text(cluster("--slurm", "--folder", "/my data's", "--weights", "a b"))
    found = subprocess.run(
        ["shellcheck", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert found.returncode == 0, found.stdout


def test_kubernetes_own_schema_accepts_the_job() -> None:
    reason = "kubernetes-validate is not installed: pip install '.[dev]'"
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason=reason)
    yaml = pytest.importorskip("yaml", reason=reason)
    job = yaml.safe_load(cluster("--kubernetes", "--image", "registry/me/netgen:cuda"))
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    assert job["spec"]["completions"] == len(ROWS)
    script = job["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    assert "netgen train" in script
    job["spec"]["completions"] = "six"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_a_scheduler_has_to_be_named() -> None:
    result = CliRunner().invoke(main, ["cluster"])
    assert result.exit_code == 2
    assert "--slurm or --kubernetes" in result.output
