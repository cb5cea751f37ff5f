"""What section 5.1 states about the data, and what else names classes: the text and Figure 6."""

from __future__ import annotations

from netgen.claims.model import Claim, Relation

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
