"""What the paper leaves open: our choices, and the readings that a printed number decides."""

from __future__ import annotations

from dataclasses import dataclass, fields

from netgen.paper.claims.claim import Claim, Measure, Uncheckable
from netgen.paper.printed import TABLE_2_PARAMETERS, Recipe

# fmt: off
LEFT_OPEN = (
    *(
        Claim(f"open-{field.name.replace('_', '-')}", "Left open by the paper", "", (),
              Measure.CHOICE, (field.name,))
        for field in fields(Recipe)
        if "choice" in field.metadata
    ),
    Claim("open-mean", "Left open by the paper", "", (), Measure.MEAN_PIXEL),
    Claim("deepsentibank-outputs", "Section 5.2",
          "re-evaluated their model on the subset of 553 ANP concepts", (),
          Measure.COMPETING_OUTPUTS),
)

NOT_CHECKABLE = (
    Uncheckable("Section 1", r"i.e. $\mathcal{F}(\mathbf{x}) = 0$", ("0",),
                "the trivial solution of a thought experiment, not of this network"),
    Uncheckable("Section 2", "broadly intersects three major lines of research areas", ("three",),
                "the authors' view of the literature"),
    Uncheckable("Section 3, ladder networks", "two encoders and one decoder", ("two",),
                "about other authors' networks"),
    Uncheckable("Figure 3", "Cross-residual Building Block (with two tasks)", ("two",),
                "the picture is not in our copy of the text; any number of tasks can be built"),
    Uncheckable("Section 5", "only consist of two learning tasks", ("two",),
                "about other data sets, none of them named"),
    Uncheckable("Section 5.2.2",
                "these small, but non-zero weights are precisely what enable residual networks to"
                " be made very deep", ("zero",), "about He's networks, not about these"),
)
# fmt: on


# ---- what the text leaves open but a printed number decides ----------------------------------
# Sentences in “ ” are the paper's own words.


def _printed(*variants: str) -> dict[str, str]:
    """Return Table 2's #Params, as printed."""
    return {name: TABLE_2_PARAMETERS[name] for name in variants}


TOTALS = _printed("x0", "xs")
SCALED = _printed("xs")
ONE_TASK = _printed("resnet50-noun", "resnet50-adj", "resnet50-anp")


@dataclass(frozen=True)
class Answer:
    """A reading: values of a row's fields, as in `netgen build --reading` or `--beyond`.

    `made` is empty for the network as it is; more than one `field=value` are joined by " + ".
    """

    meaning: str
    made: str = ""
    pro: str = ""
    con: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Question:
    """A question that the text leaves open, the printed counts that decide it, and the readings."""

    id: str
    asks: str
    printed: dict[str, str]
    answers: tuple[Answer, ...]


SINGULAR = "“the last ReLU activation and batch normalization” is singular"
BRANCH1_KEEPS = "projections are said to have “batch normalization”"
HALF = "“batch normalization” in Caffe is BatchNorm and Scale together"
SAME = "one without a Scale is the same for all tasks, against “slightly different normalization”"

# fmt: off
QUESTIONS = (
    Question("branch", "Where do the tasks branch?", TOTALS, (
        Answer("after res5a, which the tasks share", "branch=after-res5a",
               "“a branching point at the last input size reduction”; “two cross-residual layers”",
               "Table 1 draws three blocks per task", ours=True),
        Answer("before res5a: three blocks per task", "branch=before-res5a",
               "Table 1: “×3” in each of its columns", "res5a has a projection, no cross weight"),
    )),
    Question("moved-norm", "Which normalisations of res5a move behind the sum?", TOTALS, (
        Answer("BatchNorm and Scale of both branches", "moved-norm=both",
               f"{HALF}; “placing it after the elementwise addition”",
               f"{SINGULAR}; {BRANCH1_KEEPS}", ours=True),
        Answer("BatchNorm and Scale of branch2c", "moved-norm=last", SINGULAR),
        Answer("BatchNorm and Scale of branch2c, and conv1 of 60 filters",
               "moved-norm=last + conv1=sixty", f"{SINGULAR}; Table 1: “60”"),
        Answer("Scale of both branches", "moved-norm=both-scales", "", f"{HALF}; {SINGULAR}"),
        Answer("Scale of branch2c", "moved-norm=last-scale", SINGULAR, HALF),
        Answer("BatchNorm of both branches", "moved-norm=both-batchnorms", "", f"{HALF}; {SAME}"),
        Answer("BatchNorm of branch2c", "moved-norm=last-batchnorm", SINGULAR, f"{HALF}; {SAME}"),
        Answer("none", "moved-norm=nothing", "He's block as it is",
               "“there is one per task”"),
    )),
    Question("sharing", "How many cross weights does a layer have?", SCALED, (
        Answer("one per ordered pair of tasks", "sharing=per-pair",
               "Figure 5: “SourceTask-TargetTask”", "equation (2) indexes them by the source",
               ours=True),
        Answer("one per source task", "sharing=per-source",
               "equation (2): its weights have one superscript, the source's",
               "Figure 5's legend names pairs"),
        Answer("one per source task, with a bias", "sharing=per-source + cross-bias=yes", "",
               "Figure 5's legend; “no more than 2,048 parameters each”"),
    )),
    Question("normalization", "Is the omitted normalization factor there?", SCALED, (
        Answer("no", "normalization=none", "“is omitted for simplicity”", "", ours=True),
        Answer("shortcuts are divided by the number of tasks", "normalization=mean",
               "“can be lumped with the shortcut weights”", "self-shortcuts are the identity"),
    )),
    Question("cross-bias", "Does a cross weight have a bias?", SCALED, (
        Answer("no", "", "“adds no more than 2,048 parameters each”", "", ours=True),
        Answer("yes: 2,048 more", "cross-bias=yes", "Caffe's Scale can have one",
               "“no more than 2,048 parameters each”"),
    )),
    Question("self-scale", "Is a task's own shortcut scaled too?", SCALED, (
        Answer("no", "", "“identity on self-shortcut connections”", "", ours=True),
        Answer("yes", "self-weight=learned", "equation (2) sums over all j",
               "“identity on self-shortcut connections”"),
    )),
    Question("cross-layers", "How many layers are crossed?", SCALED, (
        Answer("two: res5b and res5c", "", "“two cross-residual layers”", "", ours=True),
        Answer("one: res5b", "crossed=first-block", "", "“two cross-residual layers”"),
        Answer("one: res5b, with a bias", "crossed=first-block + cross-bias=yes", "",
               "“two cross-residual layers”; “no more than 2,048 parameters each”"),
        Answer("three: res5a too, of three blocks per task",
               "branch=before-res5a + crossed=all-blocks",
               "Table 1: “×3” in each of its columns", "“two cross-residual layers”"),
    )),
    Question("projection-relu", "Does a ReLU follow the projections? Counts do not tell.", SCALED, (
        Answer("no", "projection-relu=no",
               "“as in [14]”: He's projections have none, and his weights are of such a network",
               "“with ReLU activation”", ours=True),
        Answer("yes", "projection-relu=yes",
               "“convolution with ReLU activation and batch normalization”",
               "He's weights are of a network without them"),
    )),
    Question("cross-filler", "What is n_l for cross weights? Counts do not tell.", SCALED, (
        Answer("(1 + 2,048) / 2: a deviation of 0.0442", "cross-filler=average",
               "“the average of input and output units layerwise” is Caffe's AVERAGE, and that is"
               " what AVERAGE makes of 2,048 numbers",
               "a cross weight has no layer of 1 unit on either side", ours=True),
        Answer("2,048: a deviation of 0.03125", "cross-filler=channels",
               "“input and output units”: 2,048 channels come in, and 2,048 go out",
               "Caffe's filler makes that of FAN_OUT, not of AVERAGE; He's weights have none"),
    )),
    Question("stride", "Which convolution of a block has stride 2? Counts do not tell.", SCALED, (
        Answer("the first, of 1 × 1", "stride=in-1x1",
               "He's ResNet-50: his weights are of such a network",
               "“Downsampling is performed by stride 2” names none", ours=True),
        Answer("that of 3 × 3", "stride=in-3x3",
               "later ResNet-50s: torchvision's weights are of such a network",
               "He's weights are not: they fit in shape and compute something else"),
    )),
    Question("statistics", "Are BatchNorm's mean, variance and factor counted?", {
        **ONE_TASK, **TOTALS}, (
        Answer("yes: all of Caffe's blobs", "", "", "they are not trained", ours=True),
        Answer("no", "trained-only", "they are averages, not “parameters”", ""),
    )),
    Question("conv1", "How many filters does conv1 have?", {**ONE_TASK, **TOTALS}, (
        Answer("64", "conv1=width", "He's weights of ResNet-50, and the stage that follows",
               "Table 1: “60”", ours=True),
        Answer("60", "conv1=sixty", "Table 1: “7 × 7, 60 /2”", "He's weights do not fit"),
    )),
    Question("conv1-bias", "Does conv1 have a bias?", {**ONE_TASK, **TOTALS}, (
        Answer("yes, as in He's file", "conv1-bias=yes",
               "“initialized most layers using weights from a residual network (ResNet) model”",
               "no other convolution has one", ours=True),
        Answer("no", "conv1-bias=no", "a normalisation follows", "He's weights do not fit"),
    )),
)
# fmt: on
