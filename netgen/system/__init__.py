"""The machine and its files: whole-or-nothing writes, signals, memory, GPUs, versions, text."""

__all__ = ["ascii_output", "files", "interrupts", "json_files", "machine", "text", "toml_schema"]
