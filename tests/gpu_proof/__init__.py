"""What one GPU shows of Caffe and netgen, in at most ten minutes: `./run gpu-proof` runs it."""
