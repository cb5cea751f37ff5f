"""Check what this machine has and lacks for training; each lack comes with the next step."""

__all__ = ["findings", "probes"]
