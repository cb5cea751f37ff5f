"""Training as in the paper: the rate drops at plateaus; resumed runs repeat bit for bit."""

__all__ = [
    "display",
    "driver",
    "events",
    "fingerprint",
    "journal",
    "memory_check",
    "prepare",
    "run_folder",
    "series",
    "several_gpus",
    "snapshots",
    "state",
    "training_options",
]
