"""The pictures of a study's report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netgen.pipeline.reporting.inside import Range, courses, learning_curves, sum_rows
from netgen.pipeline.reporting.seen import seen_at
from netgen.pipeline.reporting.sentences import findings
from netgen.pipeline.reporting.study_map import map_of
from netgen.pipeline.running.records import StudyResults
from netgen.pipeline.study.study_file import Study, settings_of
from netgen.pipeline.study.study_plan import Plan

MAP, CURVES, CROSS, SUMS = "map.png", "curves.png", "cross-weights.png", "sums.png"
FIGURE_5, FIGURE_6 = "figure5.png", "figure6.png"
PICTURES = (MAP, CURVES, CROSS, SUMS, FIGURE_5, FIGURE_6)
FIGURE_6_IMAGES = 6


def draw_pictures(plan: Plan, results: StudyResults, out: Path) -> list[Path]:
    """Draw what there is to draw of a study into `out`; return the files.

    Raises
    ------
    ValueError, OSError
        A file of the study is missing or damaged, or a file cannot be written.
    """
    study = plan.study
    return [
        *_draw_map(study, results, out),
        *_draw_curves(study, results, out),
        *_draw_inside(study, results, out),
        *_draw_cell(plan, out),
    ]


def _draw_map(study: Study, results: StudyResults, out: Path) -> list[Path]:
    """Draw every sentence at every place, where there are several places."""
    from netgen.figures.verdict_map import draw_map

    drawn = map_of(study, findings(study, results))
    if drawn is None:
        return []
    draw_map(drawn, out / MAP)
    return [out / MAP]


def _draw_inside(study: Study, results: StudyResults, out: Path) -> list[Path]:
    """Draw the cross weights over the training, and the sizes of sums, where they are kept."""
    from netgen.figures.inside_charts import draw_histories, draw_sizes

    files = []
    drawn = courses(study, results)
    if drawn:
        draw_histories(drawn, out / CROSS)
        files.append(out / CROSS)
    rows = sum_rows(study, results)
    names = list(dict.fromkeys(row.slice for row in rows))
    sizes: dict[str, dict[str, list[Range]]] = {}
    for row in rows:
        chart = sizes.setdefault(f"res{row.block}: after the sum", {})
        chart.setdefault(row.network, []).append(row.after)
    whole = {
        title: {network: values for network, values in of.items() if len(values) == len(names)}
        for title, of in sizes.items()
    }
    if whole and names != [""]:
        axes = ", ".join(part.partition(" ")[0] for part in names[0].split(", "))
        draw_sizes(whole, [*map(_labels, names)], axes, out / SUMS)
        files.append(out / SUMS)
    return files


def _labels(name: str) -> str:
    """Return the name of a place without those of the axes."""
    return ", ".join(part.partition(" ")[2] for part in name.split(", "))


def _draw_curves(study: Study, results: StudyResults, out: Path) -> list[Path]:
    from netgen.figures.curves import draw_mean_curves

    drawn = learning_curves(seen_at(study, results, settings_of(study)[0]))
    if not drawn:
        return []
    tasks = tuple(dict.fromkeys(task for of in drawn.values() for task in of))
    draw_mean_curves(drawn, tasks, out / CURVES)
    return [out / CURVES]


def _draw_cell(plan: Plan, out: Path) -> list[Path]:
    """Draw Figures 5 and 6 of the cell that the study names, where its files are still there."""
    from netgen.evaluation.results import read_result
    from netgen.figures.cross_weights import draw_cross_weights

    report = plan.study.report
    trained = plan.cells[report.draw].trained if report.draw in plan.cells else None
    if trained is None or not trained.files.result.exists():
        return []
    weights = Path(read_result(trained.files.result).weights.path)
    draw_cross_weights(weights, out / FIGURE_5)
    if report.images is None:
        return [out / FIGURE_5]
    _draw_predictions(plan, Path(report.images), weights, out / FIGURE_6)
    return [out / FIGURE_5, out / FIGURE_6]


def _draw_predictions(plan: Plan, images: Path, weights: Path, out: Path) -> None:
    from data_prep.photographs import Photographs
    from netgen.evaluation.prediction import PredictionRequest, predictions
    from netgen.figures.predictions import SIDE, draw_predictions
    from netgen.network.dataset import read_dataset
    from netgen.network.description import describe
    from netgen.network.variants import find

    trained = plan.cells[str(plan.study.report.draw)].trained
    if trained is None:
        return
    data = read_dataset(trained.dataset)
    photographs = Photographs(data.images)
    variant = find(trained.variant, [task.name for task in data.tasks])
    shown = list(_first_images(trained.dataset.with_name("records.csv"), images))
    request = PredictionRequest(
        describe(variant, data),
        trained.files.model / "deploy.prototxt",
        weights,
        shown,
        photographs,
    )
    draw_predictions(predictions(request), photographs.upright(SIDE), out)


def _first_images(records: Path, images: Path) -> Iterator[str]:
    """Yield the first test images that share no class of any task."""
    from data_prep.listings import read_list

    seen: set[tuple[str, str]] = set()
    shown = 0
    for row in read_list(records):
        classes = {(key, value) for key, value in row.items() if key.startswith("class:")}
        if row["split"] == "test" and not classes & seen:
            seen |= classes
            shown += 1
            yield (images / row["name"]).as_posix()
            if shown == FIGURE_6_IMAGES:
                return
