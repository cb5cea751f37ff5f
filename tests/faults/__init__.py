"""Faults at a chosen moment: signals, full disks and power loss in the midst of a command."""
