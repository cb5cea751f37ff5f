"""What this machine has and lacks for training, with the next step for each lack."""

__all__ = ["findings", "probes"]
