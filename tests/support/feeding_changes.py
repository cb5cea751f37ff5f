"""Operators on what a network is fed: mutations of one data layer in one phase.

Each takes a network, one of its data layers and hypothesis' `draw`, and changes what the layer
feeds. Where the paper or the file leaves open whether that is wrong, the operator is `unclear`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from netgen import paper
from netgen.caffe.caffe_pb2 import TEST, TRAIN, DataParameter, LayerParameter, NetParameter
from support.audit import batch_cut_and_joined, layer, replace_layers

Draw = Callable[[st.SearchStrategy[Any]], Any]
Operator = Callable[[NetParameter, LayerParameter, Draw], object]
IMAGE, LABELS = ("data",), tuple(f"label_{task}" for task in paper.TASKS)
PHASES = {"TRAIN": TRAIN, "TEST": TEST}


@dataclass(frozen=True)
class Mutation:
    """An operator, the layers it is for, and whether nothing decides that it is wrong."""

    apply: Operator
    layers: tuple[str, ...]
    phases: tuple[str, ...]
    unclear: bool


@dataclass(frozen=True)
class Place:
    """A data layer of a phase."""

    layer: str
    phase: str

    def of(self, net: NetParameter) -> LayerParameter:
        return layer(net, self.layer, PHASES[self.phase])


MUTATIONS: dict[str, Mutation] = {}


def mutation(
    *layers: str, phases: tuple[str, ...] = tuple(PHASES), unclear: bool = False
) -> Callable[[Operator], Operator]:
    """Register a mutation of these data layers."""

    def register(function: Operator) -> Operator:
        MUTATIONS[function.__name__] = Mutation(function, layers, phases, unclear)
        return function

    return register


def places(mutated: Mutation) -> list[Place]:
    """Where a mutation can be made."""
    return [Place(name, phase) for name in mutated.layers for phase in mutated.phases]


# ---- images: what is done to them ---------------------------------------------------------------


@mutation(*IMAGE)
def flips_in_the_other_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.mirror = not at.transform_param.mirror


@mutation(*IMAGE)
def another_mean_in_one_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.mean_value[draw(st.integers(0, 2))] += draw(st.floats(0.5, 50))


@mutation(*IMAGE)
def no_mean_in_one_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.ClearField("mean_value")


@mutation(*IMAGE)
def mean_file_in_one_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.ClearField("mean_value")
    at.transform_param.mean_file = "data/mean.binaryproto"


@mutation(*IMAGE)
def mean_file_and_values(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.mean_file = "data/mean.binaryproto"


@mutation(*IMAGE)
def means_of_two_channels(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.mean_value.pop()


@mutation(*IMAGE)
def scale_in_one_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.scale = draw(st.sampled_from([0.0, 1 / 255, 1 / 128, 0.017, 0.5, 2.0, -1.0]))


@mutation(*IMAGE)
def crop_of_another_size(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.crop_size = draw(st.integers(32, 512).filter(lambda size: size != 224))


@mutation(*IMAGE)
def crop_in_one_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.crop_size = 224


@mutation(*IMAGE)
def one_channel(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.force_gray = True


@mutation(*IMAGE)
def three_channels_in_one_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.force_color = True


# ---- any source: where it reads, how many, in which order ---------------------------------------


@mutation(*IMAGE, *LABELS)
def the_other_phases_database(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    other = PHASES["TEST"] if at.include[0].phase == TRAIN else PHASES["TRAIN"]
    at.data_param.source = layer(net, at.name, other).data_param.source


@mutation(*IMAGE, *LABELS)
def a_database_named_for_the_other_phase(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    mine, other = ("train", "val") if at.include[0].phase == TRAIN else ("test", "training")
    at.data_param.source = at.data_param.source.replace(mine, other)


@mutation(*IMAGE, *LABELS, unclear=True)
def a_database_without_a_telling_name(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.data_param.source = draw(st.from_regex(r"[bcd]{1,8}_lmdb", fullmatch=True))


@mutation(*LABELS, unclear=True)
def a_database_of_another_folder(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    word = draw(st.from_regex(r"[bcd]{1,8}", fullmatch=True))
    at.data_param.source = at.data_param.source.replace("mtvso", word)


@mutation(*IMAGE, *LABELS)
def another_batch(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    mine = at.data_param.batch_size
    at.data_param.batch_size = draw(st.integers(1, 64).filter(lambda batch: batch != mine))


@mutation(*IMAGE, *LABELS)
def starting_at_a_random_record(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.data_param.rand_skip = draw(st.integers(2, 10_000))


@mutation(*IMAGE, *LABELS)
def caffes_default_backend(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.data_param.ClearField("backend")


@mutation(*IMAGE, *LABELS)
def the_other_backend(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.data_param.backend = DataParameter.LEVELDB


def _as(at: LayerParameter, kind: str) -> int:
    """Make it a layer of another type, with the same name and tops; return its batch size."""
    batch = at.data_param.batch_size
    at.type = kind
    at.ClearField("data_param")
    return int(batch)


def as_list(net: NetParameter, at: LayerParameter, size: int = 224) -> None:
    """Read a list of files; of labels, only the second top."""
    batch = _as(at, "ImageData")
    at.image_data_param.source = f"{at.name}/{at.include[0].phase}.txt"
    at.image_data_param.batch_size = batch
    at.image_data_param.new_height = at.image_data_param.new_width = size
    with_two_tops(net, at)


def with_two_tops(net: NetParameter, at: LayerParameter) -> None:
    """Give a layer the top that it lacks: labels of images, or images of labels; unread."""
    unused = f"{at.name}_unused"
    at.top[:] = [*at.top, unused] if at.name == "data" else [unused, *at.top]
    silence = net.layer.add(name=unused, type="Silence", bottom=[unused])
    silence.include.add(phase=at.include[0].phase)


@mutation(*IMAGE, *LABELS)
def a_shuffled_list(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    as_list(net, at)
    at.image_data_param.shuffle = True


@mutation(*IMAGE, *LABELS)
def a_list_from_a_random_line(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    as_list(net, at)
    at.image_data_param.rand_skip = draw(st.integers(2, 10_000))


@mutation(*IMAGE, *LABELS, unclear=True)
def a_list_in_its_own_order(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    as_list(net, at)


@mutation(*IMAGE)
def a_list_resized_otherwise(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    as_list(net, at, draw(st.integers(32, 512).filter(lambda size: size != 224)))


@mutation(*IMAGE, unclear=True)
def a_list_not_resized(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    as_list(net, at, 0)


@mutation(*IMAGE)
def a_list_in_grey(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    as_list(net, at)
    at.image_data_param.is_color = False


@mutation(*IMAGE, *LABELS)
def shuffled_hdf5(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.hdf5_data_param.batch_size = _as(at, "HDF5Data")
    at.hdf5_data_param.source, at.hdf5_data_param.shuffle = f"{at.name}.txt", True
    at.ClearField("transform_param")


@mutation(*LABELS)
def transformed_hdf5(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.hdf5_data_param.batch_size = _as(at, "HDF5Data")
    at.hdf5_data_param.source, at.transform_param.scale = f"{at.name}.txt", 2


@mutation(*IMAGE, phases=("TRAIN",))
def hdf5_without_flips(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.hdf5_data_param.batch_size = _as(at, "HDF5Data")
    at.hdf5_data_param.source = "images.txt"
    at.ClearField("transform_param")


@mutation(*IMAGE)
def crops_around_boxes(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.window_data_param.batch_size = _as(at, "WindowData")
    at.window_data_param.source = f"{at.include[0].phase}/windows.txt"
    at.transform_param.crop_size = 224


@mutation(*IMAGE, *LABELS)
def made_by_a_filler(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    shape = at.dummy_data_param.shape.add(dim=[_as(at, "DummyData")])
    shape.dim.extend((3, 224, 224) if at.name == "data" else ())
    at.ClearField("transform_param")


@mutation(*IMAGE)
def a_programs_memory_of_another_size(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.memory_data_param.batch_size = _as(at, "MemoryData")
    at.memory_data_param.channels = draw(st.integers(1, 4).filter(lambda count: count != 3))
    at.memory_data_param.height = at.memory_data_param.width = 224
    with_two_tops(net, at)


@mutation(*IMAGE)
def a_programs_input_of_another_size(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    size = draw(st.integers(225, 256))
    at.input_param.shape.add(dim=[_as(at, "Input"), 3, size, size])
    at.ClearField("transform_param")


@mutation(*IMAGE, *LABELS, unclear=True)
def a_python_layer(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    _as(at, "Python")
    at.python_param.module = at.python_param.layer = "theirs"
    at.ClearField("transform_param")


# ---- labels: what is done to them, and whose they are -------------------------------------------


@mutation(*LABELS)
def labels_scaled(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.scale = draw(st.floats(-4, 4).filter(lambda scale: abs(scale - 1) > 1e-3))


@mutation(*LABELS)
def labels_shifted(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.mean_value.append(draw(st.integers(-5, 5).filter(bool)))


@mutation(*LABELS)
def labels_less_a_mean_file(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.mean_file = "data/mean.binaryproto"


@mutation(*LABELS)
def labels_cropped(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.transform_param.crop_size = draw(st.integers(2, 224))


@mutation(*LABELS)
def another_tasks_database(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    other = draw(st.sampled_from([name for name in LABELS if name != at.name]))
    at.data_param.source = layer(net, other, at.include[0].phase).data_param.source


@mutation(*LABELS)
def the_images_database(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    at.data_param.source = layer(net, "data", at.include[0].phase).data_param.source


@mutation(*LABELS)
def another_tasks_blob(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    _read(net, at, draw(st.sampled_from([name for name in LABELS if name != at.name])))


@mutation(*LABELS, unclear=True)
def the_number_stored_with_each_image(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    layer(net, "data", at.include[0].phase).top.append("datum_label")
    _read(net, at, "datum_label")


@mutation(*LABELS)
def one_number_for_two_tasks(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    the_number_stored_with_each_image(net, at, draw)
    other = draw(st.sampled_from([name for name in LABELS if name != at.name]))
    _read(net, layer(net, other, at.include[0].phase), "datum_label")


@mutation(*LABELS)
def a_layer_on_the_way(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    kind = draw(st.sampled_from(["Power", "Eltwise", "Exp", "Threshold"]))
    bottoms = [at.top[0]] * (2 if kind == "Eltwise" else 1)
    made = LayerParameter(name="changed", type=kind, bottom=bottoms, top=["changed"])
    if kind == "Power":
        made.power_param.shift = draw(st.integers(-3, 3).filter(bool))
        made.power_param.scale = draw(st.sampled_from([1, 2, -1]))
    _read(net, at, "changed", made)


@mutation(*LABELS)
def labels_joined_and_cut_wrongly(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    other = draw(st.sampled_from([name for name in LABELS if name != at.name]))
    joined = LayerParameter(name="join", type="Concat", bottom=[other, at.top[0]], top=["all"])
    cut = LayerParameter(name="cut", type="Slice", bottom=["all"], top=["mine", "rest"])
    _read(net, at, "mine", joined, cut)


@mutation(*LABELS)
def labels_in_another_order(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    parts = [str(number) for number in range(at.data_param.batch_size)]
    order = draw(st.permutations(parts).filter(lambda order: order != parts))
    cut, join = batch_cut_and_joined(at.top[0], parts, order)
    _read(net, at, join.top[0], cut, join)


@mutation(*LABELS, unclear=True)
def labels_cut_from_the_third_last_axis(net: NetParameter, at: LayerParameter, draw: Draw) -> None:
    cut = LayerParameter(name="cut", type="Slice", bottom=[at.top[0]], top=["mine", "rest"])
    cut.slice_param.axis = -3  # the channels of N x C x 1 x 1, and of N x C nothing
    _read(net, at, "mine", cut)


def _read(net: NetParameter, at: LayerParameter, blob: str, *made: LayerParameter) -> None:
    """Let what reads a layer's labels in its phase read another blob, which the last makes."""
    phase, name, kept = at.include[0].phase, at.top[0], []
    for layer_made in made:
        layer_made.include.add(phase=phase)
    for each in net.layer:
        kept.append(each)
        if name not in each.bottom:
            continue
        here = LayerParameter.FromString(each.SerializeToString())
        here.bottom[:] = [blob if bottom == name else bottom for bottom in each.bottom]
        if each.include:
            kept[-1] = here if each.include[0].phase == phase else each
        else:
            del here.include[:]
            here.include.add(phase=phase)
            each.include.add(phase=TEST if phase == TRAIN else TRAIN)
            kept.append(here)
    silence = LayerParameter(name=f"{name}_unread", type="Silence", bottom=[name])
    silence.include.add(phase=phase)
    sources = [each for each in kept if not each.bottom]
    rest = [each for each in kept if each.bottom]
    replace_layers(net, [*sources, *made, *rest, silence])
