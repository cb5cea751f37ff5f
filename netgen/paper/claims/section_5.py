"""What section 5 states: the data (5.1), and how and where networks were trained (5.2)."""

from __future__ import annotations

from netgen.paper.claims.claim import Claim, Measure, Relation
from netgen.paper.printed import ABSTRACT_NOUNS, BIASING_NOUNS

FINAL = (
    "167 nouns and 117 adjectives which form 553 adjective-noun pairs over 384,258 social images"
)

# Figure 6, row by row: adjectives, adjective-noun pairs, nouns.
FIGURE_6 = (
    ("tiny dead abandoned dry colorful",
     "dry forest creepy eyes dry leaves dying rose natural reserve",
     "leaves forest tree autumn spider"),
    ("cloudy colorful beautiful pretty dark",
     "pretty sky natural wonder tasty cake little flower empty train",
     "clouds sky sunset night evening"),
    ("lonely calm cloudy peaceful traditional",
     "lonely boat derelict factory heavy clouds calm sea cloudy evening",
     "boat clouds view water evening"),
    ("colorful curious dry lost heavy",
     "colorful bird dry forest curious bird sexy lips dangerous road",
     "bird forest rain beauty pond"),
)  # fmt: skip

# fmt: off
DATA = (
    Claim("pairs-in-vso", "Section 5.1", "a refined set of 1,200 ANP concepts",
          ("1,200",), Measure.LINES_OF, ("1200",)),
    Claim("fewer-adjectives", "Section 5.1",
          "there are far less adjectives that serve to compose these adjective-noun pairs",
          (), Measure.FEWER_ADJECTIVES),
    Claim("singletons", "Section 5.1",
          "some adjective-noun pair concepts are singletons and do not share any adjectives or"
          " nouns with other concept pairs", (), Measure.SINGLETONS),
    Claim("criterion-1-before", "Section 5.1, criterion (1), on the 1,200",
          r"adjectives with $\geq 3$ paired nouns", ("3",), Measure.FEWEST_NOUNS, ("1200",),
          relation=Relation.AT_LEAST),
    Claim("criterion-1-after", "Section 5.1, criterion (1), on the 553",
          r"adjectives with $\geq 3$ paired nouns", ("3",), Measure.FEWEST_NOUNS, ("553",),
          relation=Relation.AT_LEAST),
    Claim("criterion-2-biasing", "Section 5.1, criterion (2)",
          "not overwhelmingly biasing, v.s. face or flowers", (), Measure.NOUNS_DROPPED,
          BIASING_NOUNS),
    Claim("criterion-2-abstract", "Section 5.1, criterion (2)",
          "non-abstract, unlike loss, adventure or history", (), Measure.NOUNS_DROPPED,
          ABSTRACT_NOUNS),
    Claim("criterion-3", "Section 5.1, criterion (3)", r"ANPs with $\geq 500$ images",
          ("500",), Measure.IMAGES_PER_PAIR, relation=Relation.AT_LEAST),
    Claim("most-images", "Section 5.1", "limiting to at most 1,000 images per concept",
          ("1,000",), Measure.IMAGES_PER_PAIR, relation=Relation.AT_MOST),
    Claim("criteria-alone", "Section 5.1",
          "we filtered to keep concepts that matched the following criteria", (),
          Measure.UNEXPLAINED),
    Claim("edge-coverage", "Section 5.1", "while ensuring maximal ANP edge coverage",
          (), Measure.EDGE_COVERAGE),
    Claim("normalised-nodes", "Section 5.1",
          "normalized the number of adjective and noun nodes", (), Measure.NORMALISED_NODES),
    Claim("nouns", "Section 5.1", FINAL, ("167",), Measure.LINES_OF, ("noun",)),
    Claim("adjectives", "Section 5.1", FINAL, ("117",), Measure.LINES_OF, ("adj",)),
    Claim("pairs", "Section 5.1", FINAL, ("553",), Measure.LINES_OF, ("anp",),
          again=("the subset of 553 ANP concepts",)),
    Claim("pairs-well-formed", "Section 5.1", "which form 553 adjective-noun pairs", (),
          Measure.PAIRS_WELL_FORMED),
    Claim("images", "Section 5.1", FINAL, ("384,258",), Measure.IMAGES),
    Claim("deepsentibank-classes", "Section 5.2", "to detect 2,089 ANPs", ("2,089",),
          Measure.LINES_OF,
          ("deepsentibank",)),
    Claim("deepsentibank-subset", "Section 5.2",
          "re-evaluated their model on the subset of 553 ANP concepts", (),
          Measure.DEEPSENTIBANK_SUBSET),
    Claim("examples-introduction", "Section 1",
          "visual concept pairs like ‘happy girl’, ‘misty woods’ and ‘good food’", (),
          Measure.PAIRS_IN,
          ("happy_girl", "misty_woods", "good_food")),
    Claim("examples-figure-2", "Section 1, Figure 2",
          "there are other concepts like ‘shiny shoes’", (), Measure.PAIRS_IN,
          ("shiny_cars", "shiny_shoes", "amazing_cars", "classic_cars")),
    Claim("examples-diversity", "Section 5",
          "concepts like ‘cute dress’, ‘gentle smile’, ‘scary skull’, ‘wild rose’ and"
          " ‘yummy cake’", (), Measure.PAIRS_IN,
          ("cute_dress", "gentle_smile", "scary_skull", "wild_rose", "yummy_cake")),
    Claim("examples-fine-grained", "Section 5.2.1",
          "concepts like ‘sad dog’ and ‘happy dog’", (),
          Measure.PAIRS_IN, ("sad_dog", "happy_dog")),
    *(
        Claim(f"figure-6-row-{row}", f"Figure 6, row {row}", pairs, (), Measure.LABELS_IN,
              (adjectives, pairs, nouns), again=(adjectives, nouns))
        for row, (adjectives, pairs, nouns) in enumerate(FIGURE_6, start=1)
    ),
)
# fmt: on


# ---- what section 5.2 states: the split, the layers' details, how networks were trained, and where

SPLIT = "a 80/20 partition of the multitask VSO data stratified by adjective-noun pairs"
COUNTS = "307,185 images for training and 77,073 for test"

# fmt: off
EXPERIMENTS = (
    Claim("split", "Section 5.2", SPLIT, ("80/20",), Measure.SPLIT_SHARES),
    Claim("split-rule", "Section 5.2", SPLIT, (), Measure.SPLIT_RULE),
    Claim("split-sum", "Section 5.2", COUNTS, ("307,185", "77,073"), Measure.SPLIT_SUM),
    Claim("image-size", "Section 5.2", r"at $224 \times 224$", ("224 × 224",), Measure.IMAGE_SIZE),
    Claim("projections", "Section 5.2",
          "projections are only used when matching dimensions (stride 2)",
          ("2",), Measure.PROJECTION_STRIDES),
    Claim("projections-relu", "Section 5.2",
          "convolution with ReLU activation and batch normalization", (), Measure.PROJECTION_RELUS),
    Claim("projections-norm", "Section 5.2",
          "convolution with ReLU activation and batch normalization", (), Measure.PROJECTION_NORMS),
    Claim("self-identity", "Section 5.2",
          r"identity on self-shortcut connections $\mathbf{W}_s^{(t)} = \mathbf{I}$",
          (), Measure.SELF_SHORTCUTS),
    Claim("cross-scale", "Section 5.2",
          "a cheap channelwise scaling layer for cross-task connections", (), Measure.CROSS_SUMS,
          ("xs",)),
    Claim("cross-parameters", "Section 5.2", "adds no more than 2,048 parameters each",
          ("2,048",), Measure.CROSS_PARAMETERS, relation=Relation.AT_MOST),
    Claim("cross-input", "Section 5.2",
          r"$\mathbf{x} \in \mathbb{R}^{7 \times 7 \times 2048}$", ("7 × 7 × 2048",),
          Measure.CROSS_INPUT),
    Claim("cross-weight", "Section 5.2",
          r"$\mathbf{a} \in \mathbb{R}^{1 \times 1 \times 2048}$", ("1 × 1 × 2048",),
          Measure.CROSS_WEIGHT),
    Claim("initial-weights", "Section 5.2",
          "we initialize them to the same corresponding layer weights in the original ResNet model",
          (), Measure.INITIAL_WEIGHTS),
    Claim("initial-cross", "Section 5.2",
          r"zero mean random Gaussian with a $\sqrt{2/n_l}$ standard deviation",
          (r"\sqrt{2/n_l}",), Measure.CROSS_FILLER),
    Claim("dropout", "Section 5.2",
          "No dropout was used in residual or cross-residual networks", (), Measure.NO_DROPOUT),
    Claim("flips", "Section 5.2", "We use random flips of the input at training", (),
          Measure.FLIPS),
    Claim("batch", "Section 5.2", "using a batch size of 24, momentum", ("24",), Measure.BATCH),
    Claim("momentum", "Section 5.2", "momentum of 0.9 and weight decay", ("0.9",), Measure.SOLVER,
          ("momentum",)),
    Claim("weight-decay", "Section 5.2", "of 0.0001. We used a starting", ("0.0001",),
          Measure.SOLVER,
          ("weight_decay",)),
    Claim("rate", "Section 5.2", "a starting fixed learning rate of 0.001", ("0.001",),
          Measure.SOLVER,
          ("base_lr",)),
    Claim("optimiser", "Section 5.2", "with stochastic gradient descent", (), Measure.OPTIMISER),
    Claim("rate-drops", "Section 5.2",
          "decreased it by a factor of ten whenever the loss plateaued", ("ten",),
          Measure.RATE_DROPS),
    Claim("recipe-of-baselines", "Section 5.2",
          "We trained our cross-residual networks with stochastic gradient descent",
          (), Measure.RECIPE_OF_BASELINES),
    Claim("card", "Section 5.2",
          "All networks and experiments were run using a single NVIDIA GeForce GTX Titan X GPU",
          (), Measure.MEMORY_ON_THE_CARD),
    Claim("baselines", "Section 5.2", "We baseline against four single-task architectures",
          ("four",), Measure.BASELINES),
    Claim("vgg-layers", "Section 5.2", "the 16-layer version of VggNet", ("16",),
          Measure.BASELINE_LAYERS, ("VggNet-16",)),
    Claim("inception-bottleneck", "Section 5.2",
          r"a bottlenecked $5 \times 5$ convolution in the sub-modules", ("5 × 5",),
          Measure.WIDEST_KERNEL, ("Inception-v1",)),
    Claim("inception-heads", "Section 5.2",
          "for Inception-v1 we did not count the parameters from auxiliary heads",
          (), Measure.AUXILIARY_HEADS),
    Claim("top-k", "Section 5.2",
          "the percentage of correct predictions within the top $k$ ranked decision outputs",
          (), Measure.ACCURACIES),
    Claim("baseline-classifiers", "Table 2, column #Params",
          "Number of Parameters (millions)", (), Measure.CLASSIFIER_WIDTHS),
    Claim("deepsentibank-is-caffenet", "Section 5.2",
          "an AlexNet-styled model trained on the full, unrestricted VSO data", (),
          Measure.DEEPSENTIBANK_SIZE),
)
# fmt: on
