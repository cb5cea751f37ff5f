"""The machine and its files: whole-or-nothing writes, memory, GPUs, versions, message text."""

__all__ = ["ascii_output", "files", "machine", "text"]
