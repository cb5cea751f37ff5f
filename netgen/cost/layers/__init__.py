"""For each of Caffe's layer types, the shapes of tops and parameters that follow from its bottoms.

One small function per type, registered in `layer_types.RULES` and written after the C++ layer's
`LayerSetUp` and `Reshape`; one module per family. Sizes that Caffe would refuse are errors here.
"""
