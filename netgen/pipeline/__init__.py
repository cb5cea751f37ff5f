"""The paper's experiment in miniature: Table 2's comparison on images that anyone can make."""
