"""The machine and its files: whole-or-nothing writes, signals, memory, GPUs, versions, text."""

__all__ = ["ascii_output", "files", "interrupts", "machine", "text"]
