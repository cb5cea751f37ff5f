"""Caffe's files and Caffe itself: messages, caffemodels, databases, logs, and the engine."""
