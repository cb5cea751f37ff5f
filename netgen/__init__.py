"""Deep Cross Residual Learning for Multitask Visual Recognition, reproduced in Caffe."""
