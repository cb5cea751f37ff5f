"""Operators on what a network is fed that change nothing: other words for the same images."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.text_format import Merge
from hypothesis import strategies as st

from netgen import paper
from netgen.caffe.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter
from support.audit import batch_cut_and_joined, layer, replace_layers
from support.feeding_changes import (
    IMAGE,
    LABELS,
    Draw,
    as_list,
    with_two_tops,
)

Rewrite = Callable[[NetParameter, Draw], object]
REWRITES: dict[str, Rewrite] = {}
WITHOUT_EFFECT = {
    "Dropout": "dropout_param { dropout_ratio: 0 }",
    "Pooling": "pooling_param { kernel_size: 1 }",
    "Power": "power_param { power: 1 scale: 1 }",
    "Tile": "tile_param { tiles: 1 }",
}


def rewrite(function: Rewrite) -> Rewrite:
    """Register a rewrite."""
    REWRITES[function.__name__] = function
    return function


def _sources(net: NetParameter, *names: str) -> list[LayerParameter]:
    return [each for each in net.layer if each.name in (names or (*IMAGE, *LABELS))]


@rewrite
def defaults_written_out(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net):
        param = each.transform_param
        param.scale, param.crop_size, param.mirror = 1, 0, param.mirror
        param.force_color = param.force_gray = False
        each.data_param.rand_skip = draw(st.integers(0, 1))


@rewrite
def more_prefetching(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net):
        each.data_param.prefetch = draw(st.integers(1, 64))


@rewrite
def another_folder(net: NetParameter, draw: Draw) -> None:
    word = draw(st.from_regex(r"(/home/)?[a-z]{1,9}(/(test|train|[a-z]{1,9}))?", fullmatch=True))
    for each in _sources(net):
        each.data_param.source = each.data_param.source.replace("data/mtvso", word)


@rewrite
def one_path_written_otherwise(net: NetParameter, draw: Draw) -> None:
    each = draw(st.sampled_from(_sources(net)))
    each.data_param.source = "./" + each.data_param.source.replace("/mtvso/", "/mtvso/./")


@rewrite
def splits_in_the_databases_names(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net):
        folder, split, name = each.data_param.source.rsplit("/", 2)
        each.data_param.source = f"{folder}/{split}_{name.replace('.', '_')}"


@rewrite
def sources_in_another_order(net: NetParameter, draw: Draw) -> None:
    shuffled = draw(st.permutations(_sources(net)))
    replace_layers(net, [*shuffled, *(each for each in net.layer if each.bottom)])


@rewrite
def other_names(net: NetParameter, draw: Draw) -> None:
    for number, each in enumerate(_sources(net)):
        each.name = f"source_{number}"


@rewrite
def excluded_instead_of_included(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net):
        other = TEST if each.include[0].phase == TRAIN else TRAIN
        del each.include[:]
        each.exclude.add(phase=other)


@rewrite
def another_batch_that_divides_the_test_set(net: NetParameter, draw: Draw) -> None:
    batch = draw(st.sampled_from([1, 3, 23, 69, 1117]))
    for each in _sources(net):
        if each.include[0].phase == TEST:
            each.data_param.batch_size = batch


@rewrite
def the_unrounded_mean(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net, *IMAGE):
        each.transform_param.mean_value[:] = [103.939, 116.779, 123.68]


@rewrite
def fields_of_2014(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net):
        each.data_param.mirror, each.data_param.crop_size = True, 227


@rewrite
def labels_mirrored(net: NetParameter, draw: Draw) -> None:
    draw(st.sampled_from(_sources(net, *LABELS))).transform_param.mirror = True


@rewrite
def images_that_have_a_label_too(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net, *IMAGE):
        with_two_tops(net, each)


@rewrite
def labels_that_are_the_second_top(net: NetParameter, draw: Draw) -> None:
    """What transform_param does is then done to the first, which nothing reads."""
    for each in _sources(net, *LABELS):
        with_two_tops(net, each)
        each.transform_param.scale = draw(st.floats(0.1, 9))


@rewrite
def a_source_that_nothing_reads(net: NetParameter, draw: Draw) -> None:
    chosen = draw(st.sampled_from(_sources(net, *LABELS)))
    made = LayerParameter.FromString(chosen.SerializeToString())
    made.name = made.top[0] = "unread"
    silence = LayerParameter(name="silence", type="Silence", bottom=["unread"])
    silence.include.add(phase=made.include[0].phase)
    replace_layers(net, [made, *net.layer, silence])


@rewrite
def images_from_lists(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net, *IMAGE):
        as_list(net, each)
        each.image_data_param.source = "train/list.txt" if not each.include[0].phase else "val.txt"


@rewrite
def images_cropped_to_their_own_size(net: NetParameter, draw: Draw) -> None:
    """A crop of the size that a list is resized to, in one phase only."""
    images_from_lists(net, draw)
    draw(st.sampled_from(_sources(net, *IMAGE))).transform_param.crop_size = 224


@rewrite
def stored_files_made_colour(net: NetParameter, draw: Draw) -> None:
    for each in _sources(net, *IMAGE):
        each.transform_param.force_color = True


@rewrite
def labels_split_for_each_reader(net: NetParameter, draw: Draw) -> None:
    name = draw(st.sampled_from(LABELS))
    readers = [each for each in net.layer if name in each.bottom]
    tops = [f"{name}_split_{number}" for number in range(len(readers))]
    for each, top in zip(readers, tops, strict=True):
        each.bottom[:] = [top if bottom == name else bottom for bottom in each.bottom]
    split = LayerParameter(name="split", type="Split", bottom=[name], top=tops)
    replace_layers(net, [*(x for x in net.layer if not x.bottom), split,
                         *(x for x in net.layer if x.bottom)])  # fmt: skip


@rewrite
def one_database_of_labels(net: NetParameter, draw: Draw) -> None:
    tasks = draw(st.permutations(list(paper.TASKS)))
    made = []
    for phase, word in ((TRAIN, "train"), (TEST, "test")):
        source = LayerParameter.FromString(layer(net, "label_adj", phase).SerializeToString())
        source.name = source.top[0] = "labels"
        source.data_param.source = f"data/mtvso/{word}/labels.lmdb"
        tops = [f"label_{task}" for task in tasks]
        slices = LayerParameter(name="slice", type="Slice", bottom=["labels"], top=tops)
        slices.include.add(phase=phase)
        made += [source, slices]
    replace_layers(net, [*made, *(x for x in net.layer if x.name not in LABELS)])


@rewrite
def a_label_more_than_there_are_heads(net: NetParameter, draw: Draw) -> None:
    one_database_of_labels(net, draw)
    place, silenced = draw(st.integers(0, 3)), draw(st.booleans())
    for each in [each for each in net.layer if each.name == "slice"]:
        each.top.insert(place, "more")
        each.slice_param.slice_point.extend(draw(st.sampled_from([(), (1, 2, 3)])))
        if silenced:
            silence = net.layer.add(name="more", type="Silence", bottom=["more"])
            silence.include.extend(each.include)


@rewrite
def labels_joined_and_cut_again(net: NetParameter, draw: Draw) -> None:
    order = draw(st.permutations(LABELS))
    join = LayerParameter(name="join", type="Concat", bottom=order, top=["all"])
    cut = LayerParameter(name="cut", type="Slice", bottom=["all"])
    cut.top.extend(f"{name}_again" for name in order)
    cut.slice_param.slice_point.extend(draw(st.sampled_from([(), (1, 2)])))
    _carried(net, dict(zip(order, cut.top, strict=True)), join, cut)


@rewrite
def a_batch_of_labels_cut_and_joined_in_order(net: NetParameter, draw: Draw) -> None:
    name, parts = draw(st.sampled_from(LABELS)), ["first", "second", "third"]
    made = batch_cut_and_joined(name, parts, parts)
    _carried(net, {name: made[-1].top[0]}, *made)


@rewrite
def labels_through_a_layer_that_changes_nothing(net: NetParameter, draw: Draw) -> None:
    name, kind = draw(st.sampled_from(LABELS)), draw(st.sampled_from(list(WITHOUT_EFFECT)))
    made = LayerParameter(name="same", type=kind, bottom=[name], top=["same"])
    Merge(WITHOUT_EFFECT[kind], made)
    _carried(net, {name: "same"}, made)


@rewrite
def labels_of_datums_of_three_axes(net: NetParameter, draw: Draw) -> None:
    """As they are, N x 1 x 1 x 1, flattened to N x 1."""
    made = LayerParameter(name="flat", type="Flatten", bottom=["label_adj"], top=["flat"])
    _carried(net, {"label_adj": "flat"}, made)


def _carried(net: NetParameter, renamed: dict[str, str], *made: LayerParameter) -> None:
    """Let all that reads these labels read other blobs instead, which `made` make."""
    for each in net.layer:
        each.bottom[:] = [renamed.get(bottom, bottom) for bottom in each.bottom]
    replace_layers(net, [*(x for x in net.layer if not x.bottom), *made,
                         *(x for x in net.layer if x.bottom)])  # fmt: skip


@rewrite
def labels_cropped_to_one_number(net: NetParameter, draw: Draw) -> None:
    draw(st.sampled_from(_sources(net, *LABELS))).transform_param.crop_size = 1
