"""The machine beneath: files written whole or not at all, memory, GPUs, and how these are told."""
