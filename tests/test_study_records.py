"""What a study keeps of a cell is taken for that cell's only where it says so itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.studies import miniature, synthetic

from netgen.pipeline.running.collecting import recorded
from netgen.pipeline.study.study_settings import StudyError

Change = Callable[[dict[str, Any]], object]


def read_after(folder: Path, change: Change) -> object:
    """Keep a record of the miniature's xs-1 in `folder`, change it, and read it."""
    plan = miniature()
    cell = plan.cells["xs-1"]
    assert cell.trained
    [made_up] = [c for c in synthetic({"xs": (50, 50, 50)}, 0).cells if c.seed == 1]
    record = msgspec.structs.replace(
        made_up, settings=cell.trained.settings.given(), labels=cell.trained.labels
    )
    content = msgspec.to_builtins(record)
    change(content)
    file = folder / plan.work / "records/xs-1.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content))
    return recorded(plan, cell)


@pytest.mark.usefixtures("in_an_empty_folder")
def test_a_record_is_read_as_it_was_kept(tmp_path: Path) -> None:
    assert read_after(tmp_path, lambda _: None)


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cell: cell.update(name="x0-1"), "its name is not that of xs-1 in "),
        (lambda cell: cell.update(variant="x0"), "its variant is not that of xs-1 in "),
        (lambda cell: cell.update(seed=2), "its seed is not"),
        (lambda cell: cell.update(labels={"axis": "b"}), "its labels is not"),
        (lambda cell: cell["settings"].update(width=5), "its width is not"),
        (lambda cell: cell["tasks"].pop("noun"), "not of the same tasks: 'noun'"),
        (lambda cell: cell["curves"].update(zebra=[]), "not of the same tasks: 'zebra'"),
        (lambda cell: cell["curves"].update(noun=[(1, 50.0)]), "not between 0 and 1"),
        (lambda cell: cell["cross"].update(not_negative=101), "more cross weights of a kind"),
        (lambda cell: cell.update(history={"block": []}), "length >= 1"),
    ],
)
def test_a_record_of_another_cell_or_of_what_cannot_be_is_refused(
    tmp_path: Path, change: Change, said: str
) -> None:
    """As where folders were copied or merged: the report would tell it as this cell's."""
    with pytest.raises(StudyError) as refusal:
        read_after(tmp_path, change)
    assert "records/xs-1.json: " in str(refusal.value)
    assert said in str(refusal.value)
