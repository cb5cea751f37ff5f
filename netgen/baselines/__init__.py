"""The networks of Table 2 that are not residual: CaffeNet, DeepSentiBank, VGG-16, Inception-v1.

Layers have the names that their published caffemodels have, because Caffe copies weights by name;
only the classifiers are new, and so is their name (``fc_noun``).
"""
