"""What section 5 states: the data (5.1), and how networks were made, trained and where (5.2)."""

from __future__ import annotations

from netgen.paper.claims.claim import Claim, Relation

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
          ("1,200",), "lines_of", ("1200",)),
    Claim("fewer-adjectives", "Section 5.1",
          "there are far less adjectives that serve to compose these adjective-noun pairs",
          (), "fewer_adjectives"),
    Claim("singletons", "Section 5.1",
          "some adjective-noun pair concepts are singletons and do not share any adjectives or"
          " nouns with other concept pairs", (), "singletons"),
    Claim("criterion-1-before", "Section 5.1, criterion (1), on the 1,200",
          r"adjectives with $\geq 3$ paired nouns", ("3",), "fewest_nouns", ("1200",),
          relation=Relation.AT_LEAST),
    Claim("criterion-1-after", "Section 5.1, criterion (1), on the 553",
          r"adjectives with $\geq 3$ paired nouns", ("3",), "fewest_nouns", ("553",),
          relation=Relation.AT_LEAST),
    Claim("criterion-2-biasing", "Section 5.1, criterion (2)",
          "not overwhelmingly biasing, v.s. face or flowers", (), "nouns_dropped",
          ("face", "flowers")),
    Claim("criterion-2-abstract", "Section 5.1, criterion (2)",
          "non-abstract, unlike loss, adventure or history", (), "nouns_dropped",
          ("loss", "adventure", "history")),
    Claim("criterion-3", "Section 5.1, criterion (3)", r"ANPs with $\geq 500$ images",
          ("500",), "images_a_pair", relation=Relation.AT_LEAST),
    Claim("most-images", "Section 5.1", "limiting to at most 1,000 images per concept",
          ("1,000",), "images_a_pair", relation=Relation.AT_MOST),
    Claim("criteria-alone", "Section 5.1",
          "we filtered to keep concepts that matched the following criteria", (), "unexplained"),
    Claim("edge-coverage", "Section 5.1", "while ensuring maximal ANP edge coverage",
          (), "edge_coverage"),
    Claim("normalised-nodes", "Section 5.1",
          "normalized the number of adjective and noun nodes", (), "normalised_nodes"),
    Claim("nouns", "Section 5.1", FINAL, ("167",), "lines_of", ("noun",)),
    Claim("adjectives", "Section 5.1", FINAL, ("117",), "lines_of", ("adj",)),
    Claim("pairs", "Section 5.1", FINAL, ("553",), "lines_of", ("anp",),
          again=("the subset of 553 ANP concepts",)),
    Claim("pairs-well-formed", "Section 5.1", "which form 553 adjective-noun pairs", (),
          "pairs_well_formed"),
    Claim("images", "Section 5.1", FINAL, ("384,258",), "images"),
    Claim("deepsentibank-classes", "Section 5.2", "to detect 2,089 ANPs", ("2,089",), "lines_of",
          ("deepsentibank",)),
    Claim("deepsentibank-subset", "Section 5.2",
          "re-evaluated their model on the subset of 553 ANP concepts", (), "deepsentibank_subset"),
    Claim("examples-introduction", "Section 1",
          "visual concept pairs like ‘happy girl’, ‘misty woods’ and ‘good food’", (), "pairs_in",
          ("happy_girl", "misty_woods", "good_food")),
    Claim("examples-figure-2", "Section 1, Figure 2",
          "there are other concepts like ‘shiny shoes’", (), "pairs_in",
          ("shiny_cars", "shiny_shoes", "amazing_cars", "classic_cars")),
    Claim("examples-diversity", "Section 5",
          "concepts like ‘cute dress’, ‘gentle smile’, ‘scary skull’, ‘wild rose’ and"
          " ‘yummy cake’", (), "pairs_in",
          ("cute_dress", "gentle_smile", "scary_skull", "wild_rose", "yummy_cake")),
    Claim("examples-fine-grained", "Section 5.2.1",
          "concepts like ‘sad dog’ and ‘happy dog’", (), "pairs_in", ("sad_dog", "happy_dog")),
    *(
        Claim(f"figure-6-row-{row}", f"Figure 6, row {row}", pairs, (), "labels_in",
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
    Claim("split", "Section 5.2", SPLIT, ("80/20",), "split_shares"),
    Claim("split-rule", "Section 5.2", SPLIT, (), "split_rule"),
    Claim("split-sum", "Section 5.2", COUNTS, ("307,185", "77,073"), "split_sum"),
    Claim("image-size", "Section 5.2", r"at $224 \times 224$", ("224 × 224",), "image_size"),
    Claim("projections", "Section 5.2",
          "projections are only used when matching dimensions (stride 2)",
          ("2",), "projection_strides"),
    Claim("projections-relu", "Section 5.2",
          "convolution with ReLU activation and batch normalization", (), "projection_relus"),
    Claim("projections-norm", "Section 5.2",
          "convolution with ReLU activation and batch normalization", (), "projection_norms"),
    Claim("self-identity", "Section 5.2",
          r"identity on self-shortcut connections $\mathbf{W}_s^{(t)} = \mathbf{I}$",
          (), "self_shortcuts"),
    Claim("cross-scale", "Section 5.2",
          "a cheap channelwise scaling layer for cross-task connections", (), "cross_sums",
          ("xs",)),
    Claim("cross-parameters", "Section 5.2", "adds no more than 2,048 parameters each",
          ("2,048",), "cross_parameters", relation=Relation.AT_MOST),
    Claim("cross-input", "Section 5.2",
          r"$\mathbf{x} \in \mathbb{R}^{7 \times 7 \times 2048}$", ("7 × 7 × 2048",),
          "cross_input"),
    Claim("cross-weight", "Section 5.2",
          r"$\mathbf{a} \in \mathbb{R}^{1 \times 1 \times 2048}$", ("1 × 1 × 2048",),
          "cross_weight"),
    Claim("initial-weights", "Section 5.2",
          "we initialize them to the same corresponding layer weights in the original ResNet model",
          (), "initial_weights"),
    Claim("initial-cross", "Section 5.2",
          r"zero mean random Gaussian with a $\sqrt{2/n_l}$ standard deviation",
          (r"\sqrt{2/n_l}",), "cross_filler"),
    Claim("dropout", "Section 5.2",
          "No dropout was used in residual or cross-residual networks", (), "no_dropout"),
    Claim("flips", "Section 5.2", "We use random flips of the input at training", (), "flips"),
    Claim("batch", "Section 5.2", "using a batch size of 24, momentum", ("24",), "batch"),
    Claim("momentum", "Section 5.2", "momentum of 0.9 and weight decay", ("0.9",), "solver",
          ("momentum",)),
    Claim("weight-decay", "Section 5.2", "of 0.0001. We used a starting", ("0.0001",), "solver",
          ("weight_decay",)),
    Claim("rate", "Section 5.2", "a starting fixed learning rate of 0.001", ("0.001",), "solver",
          ("base_lr",)),
    Claim("optimiser", "Section 5.2", "with stochastic gradient descent", (), "optimiser"),
    Claim("rate-drops", "Section 5.2",
          "decreased it by a factor of ten whenever the loss plateaued", ("ten",), "rate_drops"),
    Claim("recipe-of-baselines", "Section 5.2",
          "We trained our cross-residual networks with stochastic gradient descent",
          (), "recipe_of_baselines"),
    Claim("card", "Section 5.2",
          "All networks and experiments were run using a single NVIDIA GeForce GTX Titan X GPU",
          (), "memory_on_the_card"),
    Claim("baselines", "Section 5.2", "We baseline against four single-task architectures",
          ("four",), "baselines"),
    Claim("vgg-layers", "Section 5.2", "the 16-layer version of VggNet", ("16",),
          "baseline_layers", ("VggNet-16",)),
    Claim("inception-bottleneck", "Section 5.2",
          r"a bottlenecked $5 \times 5$ convolution in the sub-modules", ("5 × 5",),
          "widest_kernel", ("Inception-v1",)),
    Claim("inception-heads", "Section 5.2",
          "for Inception-v1 we did not count the parameters from auxiliary heads",
          (), "auxiliary_heads"),
    Claim("top-k", "Section 5.2",
          "the percentage of correct predictions within the top $k$ ranked decision outputs",
          (), "accuracies"),
    Claim("baseline-classifiers", "Table 2, column #Params",
          "Number of Parameters (millions)", (), "classifier_widths"),
    Claim("deepsentibank-is-caffenet", "Section 5.2",
          "an AlexNet-styled model trained on the full, unrestricted VSO data", (),
          "deepsentibank_size"),
)
# fmt: on
