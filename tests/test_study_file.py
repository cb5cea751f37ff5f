"""A study's file: what it may say, what is refused with its line, and the plan that follows."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result
from msgspec.structs import fields
from support.paths import ROOT
from support.studies import miniature

from netgen.commands import build
from netgen.commands.cli import main
from netgen.network.dataset import Dataset, Images, Task, split_in, write_dataset
from netgen.pipeline.running import begun
from netgen.pipeline.running.begun import spec_of
from netgen.pipeline.study.cells import as_typed
from netgen.pipeline.study.study_file import (
    Choice,
    Difference,
    Network,
    Report,
    Study,
    StudyDataset,
)
from netgen.pipeline.study.study_plan import Plan, plan_study
from netgen.pipeline.study.study_settings import Settings, StudyError

WHOLE = """name = "mine"
seeds = 2

[datasets]
things = { file = "things/dataset.toml" }

[recipe]
iterations = 100

[networks]
trunk = { variant = "resnet50-noun", seeds = [7], axes = [] }
x0 = { variant = "x0", start = "trunk" }

[networks.xs]
variant = "xs"
start = "trunk"

[axes.rate]
low = { base-lr = 0.01 }
high = { base-lr = 0.1 }

[[sentences]]
kind = "difference"
claim = "xs-above-x0"
better = "xs"
worse = "x0"
"""


CHOICE = """[choose]
dataset = "things"
networks = ["x0"]
seeds = [1, 9]
among.a = { momentum = 0.5 }
"""


DIFFERENCE = """kind = "difference"
claim = "xs-above-x0"
better = "xs"
worse = "x0"
"""
ORDER = """kind = "order"
says = "so"
easier = "noun"
harder = "adj"
groups = ["xs"]
"""
GAIN = """kind = "gain"
says = "so"
better = "xs"
worse = "x0"
task = "noun"
"""


def planned(folder: Path, *changes: tuple[str, str]) -> Plan:
    text = WHOLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "study.toml"
    file.write_text(text)
    return plan_study(file)


def netgen(*words: object) -> Result:
    return CliRunner().invoke(main, ["study", *map(str, words)])


# ---- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 2", "seed = 2", ":2: seed: unknown key: do you mean 'seeds'?"),
        ("iterations =", "iteration =", ":8: recipe.iteration: unknown key: do you mean 'iter"),
        ("base-lr = 0.1 ", "base_lr = 0.1 ", ":20: axes.rate.high.base_lr: unknown key: do you"),
        ('variant = "xs"', 'variants = "xs"', ":15: networks.xs.variants: unknown key: do you mea"),
        ("claim =", "claims =", ":24: sentences[0].claims: unknown key: do you mean 'claim'?"),
        ("better =", "quality =", ":25: sentences[0].quality: unknown key: known are claim, says"),
        ("iterations = 100", "iterations = 0", ":8: recipe.iterations: Expected `int` >= 1"),
        ("iterations = 100", 'iterations = "1"', ":8: recipe.iterations: Expected `int`, got `st"),
        ('start = "trunk"\n', 'start = "trnk"\n', ":16: networks.xs.start: no network to start"),
        ('"difference"', '"differ"', ":22: sentences[0]: give kind = 'difference' or 'order'"),
        ('worse = "x0"', 'worse = "x1"', ":26: sentences[0].worse: no group 'x1': choose from "),
        ('"xs-above-x0"', '"xs-over-x0"', ":24: sentences[0].claim: no claim of the paper's 'xs-o"),
        ("file =", "# file =", "not TOML"),
        ("x0 = {", '"x 0" = {', ":12: networks.x 0: Expected letters, digits and dots"),
        ("things = {", 'others = { training-of = "others" }\nthings = {', ":5: datasets.others: g"),
        ('start = "trunk"\n', 'start = "xs"\n', "in a circle: xs-low-1 after xs-low-1"),
        ("seeds = [7], ", "seeds = [7, 8], ", "networks.x0: starts from trunk, of which it is not"),
        ('variant = "xs"', 'variant = "xt"', "networks.xs: unknown variant 'xt': choose one of"),
        ("iterations = 100", "tests = 3", "networks.trunk: tests without iterations: give both"),
        ("seeds = 2", "seeds = 2\ntogether = true", "two cells have the name x0-low: rename a net"),
        ("[networks]", "together = true\n[networks]", ":10: recipe.together: unknown key: known a"),
        ("[recipe]", CHOICE + "[recipe]", ":10: choose.seeds: seed 1 would choose and decide on"),
        ("[recipe]", CHOICE.replace('"things"', '{ thing = "things" }') + "[recipe]",
         ":8: choose.dataset.thing: no dataset 'thing': choose from things"),
        ("[recipe]", CHOICE.replace('"things"', '{ things = "things" }') + "[recipe]",
         ":10: choose.seeds: seed 1 would choose and decide on"),
        ("seeds = 2", "seeds = [4, 5, 4]", ":2: seeds: seed 4 is there twice: give each once"),
        ("seeds = [7], ", "seeds = [7, 7], ", ":11: networks.trunk.seeds: seed 7 is there twice"),
        ("[recipe]", CHOICE.replace("1, 9", "9, 9") + "[recipe]", ":10: choose.seeds: seed 9 is t"),
        ("[recipe]", CHOICE.replace("among.a = { momentum = 0.5 }", "among = {}") + "[recipe]",
         ":11: choose.among: Expected `object` of length >= 1"),
        ("low = { base-lr = 0.01 }\nhigh = { base-lr = 0.1 }\n", "",
         ":18: axes.rate: Expected `object` of length >= 1"),
        ('"things/dataset.toml"', '""', ":5: datasets.things.file: Expected `str` of length >= 1"),
        ('worse = "x0"', 'worse = "xs"', ":26: sentences[0].worse: 'xs' is compared with itself"),
        ('worse = "x0"', 'worse = "x0"\nshare = nan', ":27: sentences[0].share: Expected `float`"),
        ('worse = "x0"', 'worse = "x0"\nplus = inf', ":27: sentences[0].plus: Expected `float` <="),
        (DIFFERENCE, ORDER.replace('"adj"', '"noun"'), "sentences[0].harder: 'noun' is compared w"),
        (DIFFERENCE, ORDER.replace('["xs"]', "[]"), "sentences[0].groups: Expected `array` of len"),
        (DIFFERENCE, 'kind = "signs"\nsays = "so"\nnetwork = "x0"',
         ":25: sentences[0].network: x0 learns no cross weights: name a network of the variant xs"),
        (DIFFERENCE, 'kind = "signs"\nsays = "so"\nnetwork = "xs"\n'
         '[axes.form]\nscale = {}\nmatrix = { beyond = ["cross-form=convolution"] }',
         ":25: sentences[0].network: xs has cross-form=convolution, a weight for each pair of ch"),
        ("[[sent", "[report]\nimages = 'i'\n[[sent", "report.images: they are for draw, a cell of"),
        ("[[sent", "[report]\ndraw = 'xs-low-3'\n[[sent",
         "report.draw: no cell 'xs-low-3' with cross weights: name one, such as 'xs-low-"),
        ("[[sent", "[report]\ndraw = 'x0-low-1'\n[[sent", "no cell 'x0-low-1' with cross weights:"),
        ('"mine"', f'"{"m" * 101}"', ":1: name: Expected `str` of length <= 100"),
        ("[axes.rate]\nlow", f"[axes.rate]\n{'l' * 101}", f"axes.rate.{'l' * 101}: Expected `str`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_what_may_be_meant(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(StudyError) as refused:
        planned(tmp_path, (old, new))
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "study.toml"))
    done = netgen("plan", tmp_path / "study.toml")
    assert done.exit_code == 1
    assert done.output == f"Error: {refused.value}\n"


def test_a_cell_whose_files_would_have_too_long_names_is_refused(tmp_path: Path) -> None:
    label = f"{'l' * 98} = {{ base-lr = 0.01 }}"
    axes = "".join(f"[axes.{name}]\n{label}\n" for name in ("one", "two"))
    with pytest.raises(StudyError, match=r"a cell has a name of 20\d letters, .*shorter names"):
        planned(tmp_path, ("[axes.rate]", axes + "[axes.rate]"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[recipe]", "[recipe]\nblocks = [1, 1, 1, 1]", "networks.x0: the last stage has one"),
        ("[recipe]", "[recipe]\nblocks = [1, 1, 1, 27]", "networks.trunk: 27 blocks in a stage: a"),
        ("[recipe]", "[recipe]\nwidth = 10000000", "networks.trunk: layer 'conv1' (Convolution)"),
        ("[recipe]", "[recipe]\nreading = ['foo=bar']", "networks.trunk: unknown reading 'foo'"),
        ('"x0", ', '"x0", reading = ["normalization=mean"], ', "networks.x0: x0 "),
        ("[recipe]", "[recipe]\nplateau = 'nope'", "--plateau nope: no such task or test output:"),
        ("[recipe]", "[recipe]\nplateau = ''", "networks.trunk: --plateau : no such task"),
        ("[recipe]", "[recipe]\ndrops = [0.5]", "lowers the rate by its own policy ('multistep')"),
        (DIFFERENCE, DIFFERENCE + 'tasks = ["verb"]\n',
         "sentences[0]: no task 'verb' that its networks have in common: choose from noun, adj"),
        (DIFFERENCE, DIFFERENCE.replace('"x0"', '"trunk"') + 'tasks = ["adj"]\n',
         "sentences[0]: no task 'adj' that its networks have in common: choose from noun"),
        (DIFFERENCE, ORDER.replace('"noun"', '"verb"'), "sentences[0]: no task 'verb' that its ne"),
        (DIFFERENCE, GAIN.replace('"noun"', '"verb"'), "sentences[0]: no task 'verb' that its net"),
        (DIFFERENCE, GAIN.replace('"x0"', '"trunk"'), "sentences[0]: its networks have only one t"),
        ("[[sent", "[report]\ndraw = 'xs-low-1'\nimages = 'no'\n[[sent", "report.images: no "),
    ],
)  # fmt: skip
def test_what_would_fail_after_hours_is_told_by_the_plan_where_the_dataset_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("[recipe]", '[recipe]\nwidth = 4\nblocks = [1, 1, 1, 2]\nstem = "small"')
    given = new.removeprefix("[recipe]\n").partition(" ")[0]
    recipe = "\n".join(line for line in small[1].split("\n") if not line.startswith(given))
    planned(tmp_path, (old, new), ("[recipe]", recipe))
    elsewhere = netgen("plan", "study.toml")  # as on a machine without the dataset
    assert elsewhere.exit_code == 0, elsewhere.output
    (tmp_path / "things").mkdir()
    for split in (LETTERS.train, LETTERS.test):
        for database in (split.images, *split.labels.values()):
            Path(database).mkdir(parents=True)
    write_dataset(LETTERS, tmp_path / "things/dataset.toml")
    done = netgen("plan", "study.toml")
    assert done.exit_code == 1
    assert done.output.count("Error: ") == 1
    assert message in done.output
    planned(tmp_path, small)
    assert netgen("plan", "study.toml").exit_code == 0


def test_an_option_without_effect_is_refused(tmp_path: Path) -> None:
    planned(tmp_path)

    def refused(*words: str) -> str:
        done = netgen(words[0], tmp_path / "study.toml", *words[1:])
        assert done.exit_code == 2, done.output
        return " ".join(done.output.split())

    for option in (("--hours", "5"), ("--folder", "/x"), ("--claim", "mine")):
        said = refused("plan", *option)
        assert f"{option[0]} is for jobs: add --on slurm or --on kubernetes, or omit it" in said
    on = ("plan", "--on", "slurm")
    assert "--gpu is not for jobs, as the scheduler gives each its GPU" in refused(
        *on, "--gpu", "3"
    )
    assert "--json is for the commands themselves: omit it with --on" in refused(*on, "--json")
    said = refused(*on, "--image", "mine")
    assert "--image is for --on kubernetes: omit it with --on slurm" in said
    assert "--out is for a report, which --choose does not write" in refused(
        "run", "--choose", "--out", "z"
    )
    for words in (["--jobs", "5"], ["--out", "z"], ["--resume"]):
        assert f"{words[0]} is not for --alone, which makes" in refused("run", "--alone", *words)
    assert "--wait is for --alone" in refused("run", "--wait", "5")
    claim = refused("plan", "--on", "kubernetes", "--claim", "A_B c")
    assert "'A_B c' is not the name of a claim: small letters, digits, hyphens" in claim


def test_cells_that_wait_for_each_other_are_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"in a circle: x\S+ after x\S+ after x\S+$"):
        planned(tmp_path, ('x0 = { variant = "x0", start = "trunk" }', 'x0 = { variant = "x0",'
                ' start = "xs" }'), ('start = "trunk"\n', 'start = "x0"\n'))  # fmt: skip


def test_a_file_that_is_not_there_or_no_study_is_refused(tmp_path: Path) -> None:
    assert "name a study.toml, such as" in netgen("run", tmp_path / "none.toml").output
    (tmp_path / "data.toml").write_text((ROOT / "pyproject.toml").read_text())
    assert "unknown key" in netgen("run", tmp_path / "data.toml").output
    unknown = netgen("plan", ROOT / "experiments/miniature/study.toml", "--only", "xs-33")
    assert unknown.exit_code == 2
    assert "no cell 'xs-33': do you mean 'xs-3'?" in " ".join(unknown.output.split())


# ---- the plan -----------------------------------------------------------------------------------


def test_every_setting_that_netgen_build_has_is_an_option_of_it() -> None:
    """And every option is a setting, but for those that a plan decides itself."""
    options = {str(param.name) for param in build.command.params}
    of_plan = {"variant", "all_variants", "dataset", "out", "check", "solver_mode", "random_seed",
               "max_iter", "stepvalues", "test_interval", "snapshot"}  # fmt: skip
    mine = {"share", "start", "keep_heads", "iterations", "drops", "tests", "snapshots", "plateau",
            "explosion", "dataset", "reading"}  # fmt: skip
    assert options - of_plan == set(Settings.__struct_fields__) - mine | {"readings"}


def test_the_page_of_documentation_names_every_key() -> None:
    page = (ROOT / "docs/studies.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`\[*([a-z-]+)[^`]*`", page))
    for schema in (Study, StudyDataset, Settings, Network, Choice, Difference, Report):
        keys = {field.encode_name for field in fields(schema)}
        assert keys <= named, keys - named


def test_a_plan_has_a_cell_for_each_seed_and_label_after_what_it_depends_on(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path)
    names = [c.name for c in plan.deciding]
    assert sorted(names) == sorted(
        ["trunk-7", *(f"{n}-{rate}-{s}" for n in ("x0", "xs") for rate in ("low", "high")
                      for s in (1, 2))]
    )  # fmt: skip
    order = list(plan.cells)
    for cell in plan.cells.values():
        assert all(order.index(need) < order.index(cell.name) for need in cell.needs)
    assert plan.cells["xs-low-2"].needs == ("data-things-2", "trunk-7")


def test_a_share_and_a_new_split_of_training_images_are_databases_of_their_own(
    tmp_path: Path,
) -> None:
    plan = planned(
        tmp_path,
        ("seeds = 2", 'seeds = 2\nvaries = ["split", "fillers"]'),
        ("high = {", "high = { share = 0.25,"),
        ("[[sentences]]", '[choose]\ndataset = "held"\nnetworks = ["x0"]\nseeds = [9]\n'
         "among.a = { momentum = 0.5 }\n[[sentences]]"),
        ("things = {", 'held = { training-of = "things" }\nthings = {'),
        ("[recipe]", '[recipe]\ndataset = "things"'),
    )  # fmt: skip
    assert plan.cells["xs-high-1"].needs[0] == "data-things-1-share0.25"
    less = plan.cells["data-things-1-share0.25"]
    assert less.needs == ("data-things-1",)
    assert "--share 0.25" in as_typed(less.steps[0].words)
    assert "--split anew" in as_typed(plan.cells["data-things-1"].steps[0].words)
    trial = plan.cells["choose-a-x0-9"]
    assert trial.needs == ("data-held-9", "trunk-7")
    assert "--split training" in as_typed(plan.cells["data-held-9"].steps[0].words)
    assert "--momentum 0.5" in as_typed(trial.steps[0].words)
    assert plan.wanted == plan.trials  # nothing is chosen yet


def test_trials_at_every_place_are_on_the_dataset_that_is_given_for_the_one_there(
    tmp_path: Path,
) -> None:
    plan = planned(
        tmp_path,
        ("things = {", "held = { training-of = \"things\" }\nthings = {"),
        ("[recipe]", 'CHOICE\n[recipe]\ndataset = "things"'),
        ("CHOICE", CHOICE.replace('"things"', '{ things = "held" }')),
    )  # fmt: skip
    assert {cell.name for cell in plan.trials} == {
        f"choose-a-x0-{rate}-{seed}" for rate in ("low", "high") for seed in (1, 9)
    }
    trial = plan.cells["choose-a-x0-high-9"]
    assert trial.needs == ("data-held-9", "trunk-7")
    assert "--base-lr 0.1" in as_typed(trial.steps[0].words)
    assert "--momentum 0.5" in as_typed(trial.steps[0].words)


GRID = """
name = "where"
seeds = 24
varies = ["order", "split", "fillers"]

[datasets]
letters = { file = "letters/dataset.toml" }
clothes = { file = "clothes/dataset.toml" }
other = { file = "other/dataset.toml", varies = [] }

[recipe]
iterations = 100

[networks.trunk]
variant = "resnet50-character"
dataset = "other"
start = "fillers"
seeds = [900]
axes = []
reported = false

[networks]
x0 = { variant = "x0", axes = ["data", "start", "share", "rate"] }
x1 = { variant = "x1", seeds = 10 }
xs = { variant = "xs" }

[axes.data]
letters = { dataset = "letters" }
clothes = { dataset = "clothes" }

[axes.start]
trunk = { start = "trunk" }
scratch = { start = "fillers" }

[axes.share]
all = {}
quarter = { share = 0.25 }

[axes.rate]
"0.003" = { base-lr = 0.003 }
"0.01" = { base-lr = 0.01 }
"0.03" = { base-lr = 0.03 }
"0.1" = { base-lr = 0.1 }
"0.3" = { base-lr = 0.3 }

[axes.factor]
none = {}
mean = { reading = ["normalization=mean"] }

[[sentences]]
kind = "difference"
claim = "xs-above-x0"
better = "xs"
worse = "x0"

[report]
correction = "bonferroni"
"""


def test_a_grid_of_all_that_the_paper_leaves_open_is_one_file(tmp_path: Path) -> None:
    """A network varies along the axes that it has: X_0 adds no shortcuts that a factor divides."""
    file = tmp_path / "study.toml"
    file.write_text(GRID)
    plan = plan_study(file)
    of = Counter(cell.trained.network for cell in plan.deciding if cell.trained)
    assert of == {"trunk": 1, "x0": 40 * 24, "x1": 80 * 10, "xs": 80 * 24}
    cell = plan.cells["xs-clothes-scratch-quarter-0.3-mean-7"]
    assert cell.needs == ("data-clothes-7-share0.25",)
    built = as_typed(cell.steps[0].words)
    assert "--base-lr 0.3 --reading normalization=mean" in built
    assert "--random-seed 7" in built
    assert plan.cells["x0-letters-trunk-all-0.1-3"].needs == ("data-letters-3", "trunk-900")


LETTERS = Dataset(  # as examples/typefaces makes it
    name="letters",
    images=Images(3, 32, 32, (0.0, 0.0, 0.0)),
    tasks=(Task("noun", 26), Task("adj", 7), Task("anp", 182)),
    train=split_in("train", ("noun", "adj", "anp"), 10_218),
    test=split_in("test", ("noun", "adj", "anp"), 2_652),
)


def test_the_miniatures_networks_share_recipe_and_trunk_and_can_be_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = miniature()
    monkeypatch.setattr(begun, "read_dataset", lambda _: LETTERS)
    recipes = set()
    for cell in plan.deciding:
        assert cell.trained is not None
        if cell.trained.network == "trunk":
            continue
        made = as_typed(cell.steps[1].words)
        start = "trunk-2016" if cell.trained.network != "xs-frozen" else f"x0-{cell.trained.seed}"
        assert f"--from runs/miniature/cells/{start}/runs/" in made
        built = as_typed(cell.steps[0].words)
        recipes.add(re.sub(r" --(reading|beyond) \S+", "", built.partition(" --solver-mode")[2])
                    .partition(" --random-seed")[0])  # fmt: skip
        if cell.trained.seed == 1:
            assert spec_of(cell.trained).variant.name == cell.trained.variant
    assert len(recipes) == 1


@pytest.mark.parametrize("file", sorted(ROOT.glob("experiments/*/study.toml")), ids=str)
def test_every_committed_study_can_be_planned(file: Path) -> None:
    plan = plan_study(file)
    assert plan.deciding
    assert netgen("plan", file).exit_code == 0


def test_a_first_convolution_may_have_a_width_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tmp_path, ("iterations = 100", "iterations = 100\nwidth = [16, 8]"))
    monkeypatch.setattr(begun, "read_dataset", lambda _: LETTERS)
    cell = plan.cells["xs-low-1"]
    assert "--width 16,8" in as_typed(cell.steps[0].words)
    assert cell.trained is not None
    backbone = spec_of(cell.trained).backbone
    assert backbone is not None
    assert (backbone.conv1, backbone.width) == (16, 8)


def test_changes_of_length_and_seeds_keep_proportions(tmp_path: Path) -> None:
    words = ("plan", ROOT / "experiments/miniature/study.toml", "--iterations", "60", "--seeds")
    said = netgen(*words, "2").stdout
    assert "--max-iter 80 --stepvalues 48,68" in said  # the trunk's
    assert "--max-iter 60 --stepvalues 36,51 --test-interval 15 --snapshot 20" in said
    assert "# xs-2," in said
    assert "# xs-3," not in said
    assert "# xs-fixed-2," in said


# ---- as jobs ------------------------------------------------------------------------------------

JOBS = ("--folder", "/my data's", "--only", "xs-low-1", "--on")


def test_slurms_jobs_come_after_those_that_they_depend_on(tmp_path: Path) -> None:
    planned(tmp_path)
    script = tmp_path / "mine.sh"
    script.write_text(netgen("plan", tmp_path / "study.toml", *JOBS, "slurm").stdout)
    found = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/bash\necho "$@ [$cell]" >>said\ncat >>said\nwc -l <said\n')
    sbatch.chmod(0o755)
    subprocess.run(
        ["bash", script], cwd=tmp_path, env=os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=True,
    )  # fmt: skip
    said = (tmp_path / "said").read_text()
    numbers = [match[1] for match in re.finditer(r"--dependency=afterok(\S+)", said)]
    assert [number.count(":") for number in numbers] == [1, 2]  # the trunk's, and the network's
    assert "netgen study run" in said
    assert '--alone --only "$cell" --gpu 0' in said
    assert "--export=ALL,cell=xs-low-1" in said
    assert said.index("cell=trunk-7") < said.index("cell=xs-low-1")


def test_kubernetes_own_schema_accepts_the_jobs_and_a_pod_that_is_early_comes_again(
    tmp_path: Path,
) -> None:
    planned(tmp_path)
    job = yaml.safe_load(netgen("plan", tmp_path / "study.toml", *JOBS, "kubernetes").stdout)
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    assert job["spec"]["completions"] == 4
    assert {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [75]}} in (
        job["spec"]["podFailurePolicy"]["rules"]
    )


def test_a_job_alone_does_not_make_what_its_cell_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = netgen("run", "study.toml", "--alone", "--only", "xs-low-1")
    assert done.exit_code == 75
    assert "not done yet: data-things-7, data-things-1, trunk-7: make these" in done.output
    assert not (tmp_path / "runs").exists()
