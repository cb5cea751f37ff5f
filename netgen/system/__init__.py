"""The machine and its files: whole-or-nothing writes, signals, memory, GPUs, versions, text."""

__all__ = ["files", "interrupts", "json_files", "machine", "streams", "text", "toml_schema"]
