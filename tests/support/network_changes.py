"""Single changes to X_S: each with the layer and field it is to be named with, and the words."""

from __future__ import annotations

from collections.abc import Callable

from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.caffe.caffe_pb2 import (
    TEST,
    TRAIN,
    EltwiseParameter,
    LossParameter,
    NetParameter,
    PoolingParameter,
)
from support.audit import add, layer, remove, replace_layers

Change = Callable[[NetParameter], object]
CHANGES: dict[str, tuple[Change, str, str, Verdict]] = {}


def change(where: str, what: str, verdict: Verdict = Verdict.DIFFERS) -> Callable[[Change], Change]:
    """Register a single change to X_S, the layer and field it is to be named with, and what."""

    def register(function: Change) -> Change:
        CHANGES[function.__name__] = (function, where, what, verdict)
        return function

    return register


@change("res3a_branch1, stride", "stride 1, the paper's network has 2 (Table 1)")
def stride(net: NetParameter) -> None:
    layer(net, "res3a_branch1").convolution_param.stride[:] = [1]


@change("res4c_branch2b, kernel_size", "kernel_size 5, the paper's network has 3 (Table 1)")
def kernel(net: NetParameter) -> None:
    layer(net, "res4c_branch2b").convolution_param.kernel_size[:] = [5]
    layer(net, "res4c_branch2b").convolution_param.pad[:] = [2]


@change("conv1, num_output", "num_output 48, the paper's network has 64")
def width_of_the_stem(net: NetParameter) -> None:
    layer(net, "conv1").convolution_param.num_output = 48


@change("res2a_branch2a, bias_term", "bias_term true, the paper's network has false")
def bias_in_a_block(net: NetParameter) -> None:
    layer(net, "res2a_branch2a").convolution_param.bias_term = True


@change("res2b_branch2b, dilation", "dilation 2, the paper's network has 1")
def dilated(net: NetParameter) -> None:
    layer(net, "res2b_branch2b").convolution_param.dilation[:] = [2]
    layer(net, "res2b_branch2b").convolution_param.pad[:] = [2]


@change("res4b_branch2b, group", "group 32, the paper's network has 1")
def grouped(net: NetParameter) -> None:
    layer(net, "res4b_branch2b").convolution_param.group = 32


@change("pool1, pool", "pool AVE, the paper's network has MAX (Table 1)")
def pooling(net: NetParameter) -> None:
    layer(net, "pool1").pooling_param.pool = PoolingParameter.AVE


@change("pool1, kernel_size", "kernel_size 2, the paper's network has 3")
def pooling_window(net: NetParameter) -> None:
    layer(net, "pool1").pooling_param.kernel_size = 2


@change("pool5_adj, pool", "pool MAX, the paper's network has AVE (Table 1)")
def max_pool_in_a_head(net: NetParameter) -> None:
    layer(net, "pool5_adj").pooling_param.pool = PoolingParameter.MAX


@change("fc_anp, num_output", "num_output 167, the paper's network has 553")
def head_of_another_task(net: NetParameter) -> None:
    layer(net, "fc_anp").inner_product_param.num_output = 167


@change("cross5b_adj_noun", "is missing: the paper's network has this Scale (section 5.2)")
def cross_weight_missing(net: NetParameter) -> None:
    replace_layers(net, [each for each in net.layer if each.name != "cross5b_adj_noun"])
    layer(net, "res5b_noun").bottom.remove("cross5b_adj_noun")


@change(
    "res5b_noun, bottom", "does not sum cross5b_adj_noun, as the paper's network does (equation 2)"
)
def sum_lacks_a_cross_residual(net: NetParameter) -> None:
    cross_weight_missing(net)


@change("cross5b_adj_noun, bottom", "reads res5a_relu_anp, the paper's network res5a_relu_adj")
def cross_weight_of_another_source(net: NetParameter) -> None:
    layer(net, "cross5b_adj_noun").bottom[0] = "res5a_anp"


@change("cross5c_noun_anp, bottom", "reads res5a_relu_noun, the paper's network res5b_relu_noun")
def cross_weight_of_another_level(net: NetParameter) -> None:
    layer(net, "cross5c_noun_anp").bottom[0] = "res5a_noun"


@change("cross5b_noun_adj, bias_term", "bias_term true, the paper's network has false")
def cross_weight_with_bias(net: NetParameter) -> None:
    layer(net, "cross5b_noun_adj").scale_param.bias_term = True


@change("cross5c_anp_adj, filler", "starts at a standard deviation of 1.41, the paper's of 0.0442")
def cross_weight_starting_wide(net: NetParameter) -> None:
    layer(net, "cross5c_anp_adj").scale_param.filler.ClearField("variance_norm")


@change("cross5c_anp_adj, filler", "it starts as the identity of X_1")
def cross_weight_without_filler(net: NetParameter) -> None:
    layer(net, "cross5c_anp_adj").scale_param.ClearField("filler")


@change("cross5b_anp_noun, type", "is of type Convolution, the paper's of type Scale")
def cross_weight_as_a_convolution(net: NetParameter) -> None:
    cross = layer(net, "cross5b_anp_noun")
    cross.type = "Convolution"
    cross.ClearField("scale_param")
    cross.convolution_param.num_output = 2048
    cross.convolution_param.kernel_size.append(1)


@change("relu_of_projection", "on a projection section 5.2's words would allow it")
def relu_on_a_projection(net: NetParameter) -> None:
    add(net, "scale2a_branch1", name="relu_of_projection", type="ReLU",
        bottom=["res2a_branch1"], top=["res2a_branch1"])  # fmt: skip


@change("dropout", '"No dropout was used in residual or cross-residual networks"')
def dropout_added(net: NetParameter) -> None:
    add(net, "pool5_anp", name="dropout", type="Dropout", bottom=["pool5_anp"], top=["pool5_anp"])


@change("res4a_branch2a_relu", "is missing: the paper's network has this ReLU")
def relu_missing(net: NetParameter) -> None:
    remove(net, "res4a_branch2a_relu")


@change("bn3b_branch2c", "is missing: the paper's network has this BatchNorm")
def normalisation_missing(net: NetParameter) -> None:
    remove(net, "bn3b_branch2c")


@change("bn5a_branch1", "a BatchNorm on res5a_branch1 that the paper's network does not have")
def one_more_normalisation(net: NetParameter) -> None:
    add(net, "res5a_branch1", name="bn5a_branch1", type="BatchNorm",
        bottom=["res5a_branch1"], top=["res5a_branch1"])  # fmt: skip


@change("bn2a_branch2a, eps", "eps 0.001, the paper's network has 1e-05", Verdict.NOT_CHECKABLE)
def epsilon(net: NetParameter) -> None:
    layer(net, "bn2a_branch2a").batch_norm_param.eps = 1e-3


@change(
    "bn2a_branch2a, use_global_stats",
    "use_global_stats true, the paper's network has false",
    Verdict.NOT_CHECKABLE,
)
def frozen_statistics(net: NetParameter) -> None:
    layer(net, "bn2a_branch2a").batch_norm_param.use_global_stats = True


@change("bn2a_branch2a, lr_mult", "Caffe 1.0 forces them to 0", Verdict.EQUIVALENT)
def learned_statistics(net: NetParameter) -> None:
    layer(net, "bn2a_branch2a").ClearField("param")


@change("bn2a_branch2a, lr_mult", "decay the three unlike each other")
def unevenly_learned_statistics(net: NetParameter) -> None:
    layer(net, "bn2a_branch2a").param[1].lr_mult = 1


@change("res2b_branch2a, lr_mult", "section 5.2 names one learning rate for all")
def frozen_layer(net: NetParameter) -> None:
    layer(net, "res2b_branch2a").param.add(lr_mult=0)


@change("fc_adj, weight_filler", "does not say how classifiers start", Verdict.NOT_CHECKABLE)
def classifier_starting_otherwise(net: NetParameter) -> None:
    layer(net, "fc_adj").inner_product_param.weight_filler.type = "xavier"


@change("res3b, type", "is of type Concat, the paper's of type Eltwise (equation 1)")
def joined_otherwise(net: NetParameter) -> None:
    layer(net, "res3b").type = "Concat"
    layer(net, "res3b").ClearField("eltwise_param")


@change("res4d, operation", "operation MAX, the paper's network has SUM (equation 1)")
def maximum_for_sum(net: NetParameter) -> None:
    layer(net, "res4d").eltwise_param.operation = EltwiseParameter.MAX


@change("res5c_anp, bottom", "sums 0.5 x res5b_relu_anp, the paper's network res5b_relu_anp")
def weighted_shortcut(net: NetParameter) -> None:
    layer(net, "res5c_anp").eltwise_param.coeff[:] = [0.5, 1, 1, 1]


@change("res5b_branch2a_adj, bottom", "reads res5a_relu_noun, the paper's network res5a_relu_adj")
def tower_of_another_task(net: NetParameter) -> None:
    layer(net, "res5b_branch2a_adj").bottom[0] = "res5a_noun"


@change("loss_adj, labels of label_noun", "117 classes of adj are compared with the labels of")
def labels_of_another_task(net: NetParameter) -> None:
    layer(net, "loss_adj").bottom[1] = "label_noun"


@change("loss_adj, labels of label_adj", "compared with the labels of noun, ")
def database_of_another_task(net: NetParameter) -> None:
    source = layer(net, "label_adj", TRAIN).data_param
    source.source = "data/mtvso/train/label_noun.lmdb"


@change("loss_anp, loss_weight", "loss_weight 2, the paper's network has 1 (section 4)")
def weighted_loss(net: NetParameter) -> None:
    layer(net, "loss_anp").loss_weight.append(2)


@change("loss_noun, normalization", "normalization NONE")
def loss_not_divided(net: NetParameter) -> None:
    layer(net, "loss_noun").loss_param.normalization = LossParameter.NONE


@change("top5_noun, top_k", "top_k 10, the paper's network has 5 (Table 2)")
def top_10(net: NetParameter) -> None:
    layer(net, "top5_noun").accuracy_param.top_k = 10


@change("top1_anp", "is missing: the paper's network has this Accuracy (Table 2)")
def accuracy_missing(net: NetParameter) -> None:
    replace_layers(net, [each for each in net.layer if each.name != "top1_anp"])


@change("data, mirror", "mirror true, the paper's is false in TEST")
def mirrored_test(net: NetParameter) -> None:
    layer(net, "data", TEST).transform_param.mirror = True


@change("data, mirror", "mirror false, the paper's is true in TRAIN (section 5.2: \"random")
def no_flips(net: NetParameter) -> None:
    layer(net, "data", TRAIN).transform_param.mirror = False


@change("data, crop_size", "crop_size 227, the paper's images are 224 x 224")
def cropped(net: NetParameter) -> None:
    layer(net, "data", TRAIN).transform_param.crop_size = 227


@change("data, mean_value", "mean_value none in TRAIN, 104, 117, 123 in TEST")
def no_mean(net: NetParameter) -> None:
    layer(net, "data", TRAIN).transform_param.ClearField("mean_value")


@change("data, mean_value", "mean_value 104, 117, 123 in TRAIN, 123, 117, 104 in TEST")
def mean_backwards(net: NetParameter) -> None:
    layer(net, "data", TEST).transform_param.mean_value[:] = [123, 117, 104]


@change("data, scale", "scale 0.00390625 in TRAIN, 1 in TEST")
def scaled(net: NetParameter) -> None:
    layer(net, "data", TRAIN).transform_param.scale = 1 / 256


@change("data, batch_size", "batch_size 32, the paper's is 24 (section 5.2)")
def batch(net: NetParameter) -> None:
    for each in net.layer:
        if each.type == "Data" and each.include[0].phase == TRAIN:
            each.data_param.batch_size = 32


@change("data, batch_size", "batch_size 4 does not divide the 77,073 test images")
def batch_of_tests(net: NetParameter) -> None:
    for each in net.layer:
        if each.type == "Data" and each.include[0].phase == TEST:
            each.data_param.batch_size = 4


@change("top1_adj, bottom", "reads fc_noun, the paper's network labels there (Table 2)")
def scores_for_labels(net: NetParameter) -> None:
    layer(net, "top1_adj").bottom[1] = "fc_noun"


@change("label_adj, batch_size", "labels no longer match images")
def label_batch(net: NetParameter) -> None:
    layer(net, "label_adj", TRAIN).data_param.batch_size = 12


@change("data, source", "is read in TRAIN and in TEST")
def one_database_for_both_phases(net: NetParameter) -> None:
    layer(net, "data", TEST).data_param.source = layer(net, "data", TRAIN).data_param.source


@change("mystery", "netgen does not know the type")
def unknown_type(net: NetParameter) -> None:
    add(net, "res3c_relu", name="mystery", type="Mystery", bottom=["res3c"], top=["res3c"])


def renamed(net: NetParameter) -> NetParameter:
    """Rename every layer and blob, but for what tells whose labels a database holds."""
    blobs: dict[str, str] = {}
    for index, each in enumerate(net.layer):
        each.name = f"layer_{index}"
        for names in (each.bottom, each.top):
            for place, name in enumerate(names):
                names[place] = blobs.setdefault(name, f"blob_{len(blobs)}")
    return net
