"""Fuzzers: every file that netgen reads, changed at random, ends in an answer or in one message."""
