"""Caffe's files and Caffe itself: messages, caffemodels, databases, logs, and the program."""

__all__ = [
    "blas_kernel",
    "caffe_pb2",
    "caffemodel",
    "caffemodel_check",
    "child",
    "database_cursor",
    "databases",
    "engine",
    "log_course",
    "schema",
    "training_log",
]
