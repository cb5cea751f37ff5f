"""Networks audited: single changes are named, harmless rewrites are not, readings are known."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.text_format import MessageToString
from support.audit import (
    DEPLOY,
    XS,
    differing,
    findings,
    layer,
    network,
    replace_layers,
    shown,
    written,
)
from support.network_changes import CHANGES, renamed, stride
from support.networks import MULTITASK, TRAINED, VARIANTS
from support.paths import ROOT

from netgen import paper
from netgen.audit.comparison.differences import compare
from netgen.audit.comparison.graph import graph_of
from netgen.audit.inspection import InspectionFinding as Finding
from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.audit.inspection import inspect
from netgen.audit.inspection.inspect_network import inspect_parsed
from netgen.caffe.caffe_pb2 import (
    TEST,
    TRAIN,
    ConvolutionParameter,
    FillerParameter,
    LayerParameter,
    NetParameter,
    PoolingParameter,
)
from netgen.caffe.schema import SchemaError, parse_net
from netgen.network.build import BuildSpec, network_files
from netgen.network.options import READINGS, Choice, MovedNorm, Sharing
from netgen.network.variants import find

LEARNS_1 = "  blobs_lr: 1\n  weight_decay: 1\n"


# A change, the summary, and what else it touches: Caffe's refusal, the count, both ends of a wire.
MOST = 5


@pytest.mark.parametrize("name", CHANGES)
def test_a_single_change_is_named(name: str, tmp_path: Path) -> None:
    apply, where, what, verdict = CHANGES[name]
    net = network()
    apply(net)
    found = findings(tmp_path, net)
    named = [f for f in found if f.where.endswith(f": {where}") and f.verdict is verdict]
    assert any(what in finding.what for finding in named), shown(found)
    assert len(differing(found)) <= MOST if verdict is Verdict.DIFFERS else not differing(found)


@pytest.mark.parametrize("name", sorted(CHANGES)[::3])
def test_a_single_change_is_found_where_all_names_are_others(name: str, tmp_path: Path) -> None:
    net = network()
    CHANGES[name][0](net)
    renamed(net)
    found = findings(tmp_path, net)
    _, where, what, verdict = CHANGES[name]
    ours = where.partition(",")[0]
    hits = [finding for finding in found if finding.verdict is verdict]
    assert any(f"(our {ours})" in hit.where or what in hit.what for hit in hits), shown(found)
    assert len(differing(found)) <= MOST, shown(found)


def reordered(net: NetParameter) -> NetParameter:
    """Shuffle the layers as far as Caffe lets one: sources first, towers interleaved, in place."""
    rng, ready, left = random.Random(5), set[str](), list(net.layer)
    order: list[LayerParameter] = []
    while left:
        can = [x for x in left if set(x.bottom) <= ready and _turn(x, left)]
        chosen = rng.choice(can)
        order.append(chosen)
        left.remove(chosen)
        ready.update(chosen.top)
    replace_layers(net, order)
    return net


def _turn(candidate: LayerParameter, left: list[LayerParameter]) -> bool:
    """Whether no earlier layer still has to make or overwrite what the candidate uses."""
    blobs = {*candidate.bottom, *candidate.top}
    for other in left:
        if other is candidate:
            return True
        phases = {rule.phase for rule in other.include} & {rule.phase for rule in candidate.include}
        if (set(other.top) & blobs or set(other.bottom) & set(candidate.top)) and (
            phases or not (other.include and candidate.include)
        ):
            return False
    return True


def permuted_sums(net: NetParameter) -> NetParameter:
    """Let every sum read its blobs in another order."""
    for each in net.layer:
        if each.type == "Eltwise":
            each.bottom[:] = list(each.bottom)[::-1]
            each.eltwise_param.coeff[:] = [1.0] * len(each.bottom)
    return net


def explicit_defaults(net: NetParameter) -> NetParameter:
    """Write out what Caffe would have assumed, and say sizes the other way."""
    for each in net.layer:
        if each.type == "Convolution":
            param = each.convolution_param
            [size], [stride], [pad] = param.kernel_size, param.stride or [1], param.pad or [0]
            del param.kernel_size[:], param.stride[:], param.pad[:]
            param.kernel_h = param.kernel_w = size
            param.stride_h = param.stride_w = stride
            param.pad_h = param.pad_w = pad
            param.group, param.axis, param.engine = 1, 1, ConvolutionParameter.CAFFE
            param.dilation.append(1)
            each.param.add(lr_mult=1, decay_mult=1)
        if each.type == "BatchNorm":
            each.batch_norm_param.eps = 1e-5
        if each.type == "Scale" and not each.name.startswith("cross"):
            each.scale_param.filler.CopyFrom(FillerParameter(type="constant", value=1))
            each.scale_param.axis = 1
        if each.type == "ReLU":
            each.relu_param.negative_slope = 0
        if each.name.startswith("pool5"):
            each.pooling_param.Clear()
            each.pooling_param.pool = PoolingParameter.AVE
            each.pooling_param.global_pooling = True
        if each.type == "SoftmaxWithLoss":
            each.loss_weight.append(1)
    return net


def out_of_place(net: NetParameter) -> NetParameter:
    """Give every layer that works in place a blob of its own; spell Splits out."""
    current: dict[str, str] = {}
    for index, each in enumerate(net.layer):
        each.bottom[:] = [current.get(name, name) for name in each.bottom]
        for place, name in enumerate(each.top):
            if not each.bottom:
                continue
            current[name] = f"{name}/{index}"
            each.top[place] = current[name]
    image = LayerParameter(name="split", type="Split", bottom=["data"], top=["data_split"])
    layer(net, "conv1").bottom[0] = "data_split"
    layers = list(net.layer)
    replace_layers(net, [*layers[:8], image, *layers[8:]])
    return net


def other_sources(net: NetParameter) -> NetParameter:
    """Read the labels of all tasks from HDF5, and the images from files."""
    for each in net.layer:
        if each.type == "Data" and each.name == "data":
            batch_size = each.data_param.batch_size
            each.type = "ImageData"
            each.ClearField("data_param")
            each.image_data_param.source = f"{each.include[0].phase}/list.txt"
            each.image_data_param.batch_size = batch_size
            each.image_data_param.new_height = each.image_data_param.new_width = 224
            each.top.append("unused")
    for phase in (TRAIN, TEST):
        unused = LayerParameter(name=f"silence{phase}", type="Silence", bottom=["unused"])
        unused.include.add(phase=phase)
        net.layer.append(unused)
    return net


def one_database_of_labels(net: NetParameter) -> NetParameter:
    """Read the labels of all tasks from one database, and slice them apart."""
    kept = [each for each in net.layer if not each.name.startswith("label_")]
    made = []
    for phase in (TRAIN, TEST):
        source = LayerParameter.FromString(layer(net, "label_adj", phase).SerializeToString())
        source.name = source.top[0] = "labels"
        source.data_param.source = f"{phase}/labels"
        tops = [f"label_{task}" for task in paper.TASKS]
        slices = LayerParameter(name="slice", type="Slice", bottom=["labels"], top=tops)
        slices.include.add(phase=phase)
        made += [source, slices]
    replace_layers(net, [*made, *kept])
    return net


REWRITES = [
    one_database_of_labels,
    renamed,
    reordered,
    permuted_sums,
    explicit_defaults,
    out_of_place,
    other_sources,
]


@pytest.mark.parametrize("rewrite", REWRITES)
def test_a_harmless_rewrite_is_the_same_network(
    rewrite: Callable[[NetParameter], NetParameter], tmp_path: Path
) -> None:
    found = findings(tmp_path, rewrite(network()))
    assert not differing(found), shown(found)
    assert "(xs)" in found[0].what


def test_all_rewrites_together_are_the_same_network(tmp_path: Path) -> None:
    net = network()
    for rewrite in (permuted_sums, explicit_defaults, out_of_place, reordered, renamed):
        rewrite(net)
    found = findings(tmp_path, net)
    assert not differing(found), shown(found)
    assert found[0].verdict is Verdict.EQUIVALENT


def test_a_deploy_network_of_another_batch_is_the_same(tmp_path: Path) -> None:
    net = network(DEPLOY)
    layer(net, "data").input_param.shape[0].dim[0] = 10
    found = findings(tmp_path, net)
    assert not differing(found), shown(found)
    assert found[0].verdict is Verdict.SAME


def test_a_deploy_network_of_the_old_input_fields_is_the_same(tmp_path: Path) -> None:
    text = DEPLOY.read_text(encoding="utf-8")
    old = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 224\ninput_dim: 224\n'
    net = tmp_path / "net.prototxt"
    net.write_text(re.sub(r"layer \{\n  name: \"data\".*?\n\}\n", old, text, count=1, flags=re.S))
    assert not differing(inspect(net=net))


def test_comments_and_blanks_are_the_same_network(tmp_path: Path) -> None:
    text = XS.read_text(encoding="utf-8")
    net = tmp_path / "net.prototxt"
    net.write_text("# mine\n" + text.replace("\nlayer {", "\n\n# a layer\nlayer  {  # here"))
    assert inspect(net=net)[0].verdict is Verdict.SAME


def test_the_syntax_of_2014_is_the_same_network() -> None:
    """V1's `layers` had no BatchNorm and no Scale, so a part of the network has to do."""
    types = {"Convolution": "CONVOLUTION", "ReLU": "RELU", "Pooling": "POOLING"}
    types |= {"InnerProduct": "INNER_PRODUCT", "SoftmaxWithLoss": "SOFTMAX_LOSS"}
    kept = [x for x in network().layer if x.name in ("conv1", "conv1_relu", "pool1", "fc_adj")]
    kept += [x for x in network().layer if x.name in ("data", "label_adj", "loss_adj")]
    kept.sort(key=lambda each: each.type != "Data")
    next(x for x in kept if x.name == "fc_adj").bottom[0] = "pool1"
    text = MessageToString(NetParameter(layer=kept))
    old = re.sub(r"\blayer {", "layers {", text)
    old = re.sub(r"  param {\n    lr_mult: 1\.0\n    decay_mult: 1\.0\n  }\n", LEARNS_1, old)
    for new, name in {**types, "Data": "DATA"}.items():
        old = old.replace(f'type: "{new}"', f"type: {name}")
    assert "blobs_lr" in old
    nets = [graph_of(parse_net(each), phase) for each in (text, old) for phase in ("TRAIN", "TEST")]
    assert sorted(nets[0].whole) == sorted(nets[2].whole)
    assert sorted(nets[1].whole) == sorted(nets[3].whole)
    assert not compare(nets[2], nets[0]).differences


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "train_val") for name in TRAINED), *((name, "deploy") for name in VARIANTS)],
)
def test_the_committed_networks_are_the_papers(name: str, kind: str) -> None:
    found = inspect(net=ROOT / f"models/{name}/{kind}.prototxt")
    assert not differing(found), shown(found)
    assert found[0].verdict is Verdict.SAME
    assert f"({name})" in found[0].what


OTHER_READINGS = [
    (name, option.field, reading)
    for name in MULTITASK
    for option in READINGS.values()
    for reading in option.values[1:]
    # Equation 2's weights are what these two are about.
    if name == "xs"
    or (name == "x1" and option.field == "normalization")
    or option.field == "moved_norm"
]


@pytest.mark.parametrize(("name", "field", "reading"), OTHER_READINGS)
def test_every_other_reading_is_known(name: str, field: str, reading: Choice) -> None:
    chosen = find(name, list(paper.TASKS))
    read: dict[str, Any] = {field: reading}
    row = replace(chosen.row, **read)
    order = BuildSpec(
        replace(chosen, row=row), recipe=replace(BuildSpec(chosen).recipe, memory=1e6)
    )
    text = network_files(order)[order.folder / "deploy.prototxt"]
    inspected = inspect_text(text)
    told = f"equivalent to {name} read as {field.replace('_', '-')}={reading.slug}"
    assert any(told in finding.what for finding in inspected), shown(inspected)


def test_two_other_readings_at_once_are_known() -> None:
    chosen = find("xs", list(paper.TASKS))
    row = replace(chosen.row, moved_norm=MovedNorm.LAST, sharing=Sharing.PER_SOURCE)
    order = BuildSpec(replace(chosen, row=row))
    found = inspect_text(network_files(order)[order.folder / "deploy.prototxt"])
    assert "xs read as moved-norm=last, sharing=per-source" in found[0].what


def inspect_text(text: str) -> tuple[Finding, ...]:
    return inspect_parsed(parse_net(text), "net").findings


def test_normalisation_moved_back_is_told_as_a_reading_and_by_its_count(tmp_path: Path) -> None:
    """bn and scale of branch1 stay in it: the reading "last", which Table 2's count excludes."""
    net = network()
    for kind, name in (("Scale", "scale5a_branch1"), ("BatchNorm", "bn5a_branch1")):
        made = layer(net, f"{name[: -len('branch1')]}branch2a")
        fields = LayerParameter.FromString(made.SerializeToString())
        fields.name, fields.type = name, kind
        fields.bottom[0] = fields.top[0] = "res5a_branch1"
        layers = list(net.layer)
        place = next(i for i, each in enumerate(layers) if each.name == "res5a_branch1") + 1
        replace_layers(net, [*layers[:place], fields, *layers[place:]])
    found = findings(tmp_path, net)
    assert "equivalent to xs read as moved-norm=last" in found[0].what, shown(found)
    assert any("43,192,200 parameters; Table 2 prints 43.18" in f.what for f in differing(found))


def test_a_program_that_makes_images_and_labels_is_taken_for_what_feeds_a_training(
    tmp_path: Path,
) -> None:
    net = network()
    made = [each for each in net.layer if each.type != "Data"]
    for phase in (TRAIN, TEST):
        tops = ["data", *(f"label_{task}" for task in paper.TASKS)]
        source = LayerParameter(name="mine", type="Python", top=tops)
        source.include.add(phase=phase)
        source.python_param.module, source.python_param.layer = "mine", "Mine"
        made.insert(0, source)
    replace_layers(net, made)
    found = findings(tmp_path, net)
    assert not differing(found), shown(found)
    assert "(xs)" in found[0].what
    fed = [x for x in found if "mine" in x.where and x.verdict is Verdict.NOT_CHECKABLE]
    assert {x.phase for x in fed} == {"TRAIN", "TEST"}, shown(found)


def test_a_network_of_another_kind_is_like_none(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3'
        ' dim: 227 dim: 227 } } } layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"'
        " inner_product_param { num_output: 553 } }"
    )
    (finding,) = inspect(net=net)
    assert finding.verdict is Verdict.DIFFERS
    assert "like no network of Table 2" in finding.what


def test_a_network_that_only_trains_says_so(tmp_path: Path) -> None:
    net = network()
    replace_layers(net, [x for x in net.layer if not (x.include and x.include[0].phase == TEST)])
    found = findings(tmp_path, net)
    assert not differing(found), shown(found)
    assert any("it has data only in TRAIN" in finding.what for finding in found)


def test_fields_that_netgen_does_not_know_are_told(tmp_path: Path) -> None:
    text = XS.read_text(encoding="utf-8").replace('top: "pool1"', 'top: "pool1"\n  quantise: 8', 1)
    net = tmp_path / "net.prototxt"
    net.write_text(text)
    found = inspect(net=net)
    assert any("LayerParameter.quantise" in finding.what for finding in found)
    assert not differing(found)


def test_one_network_takes_less_than_three_seconds_to_compute(tmp_path: Path) -> None:
    net = network()
    stride(net)
    path = written(net, tmp_path)
    started = time.process_time()
    inspect(net=path)
    assert time.process_time() - started < 3


def test_a_network_that_does_not_connect_is_one_clear_error(tmp_path: Path) -> None:
    net = network()
    layer(net, "res3b").bottom[0] = "nowhere"
    with pytest.raises(SchemaError, match="reads blob 'nowhere', which no layer"):
        findings(tmp_path, net)
