"""Training as the paper did it: the rate drops at plateaus, and runs resume to the bit."""

__all__ = [
    "display",
    "driver",
    "fingerprint",
    "journal",
    "memory_check",
    "prepare",
    "run_folder",
    "several_gpus",
    "snapshots",
    "state",
    "training_options",
]
