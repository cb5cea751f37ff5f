"""What each of Caffe's layer types makes of its bottoms: shapes of tops and of parameters.

One small function a type, registered under the type's name in `table`, after the C++ layer's
`LayerSetUp` and `Reshape`; a module a family. Sizes that Caffe would refuse are refused, in words.
"""
