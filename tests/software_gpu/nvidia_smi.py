"""nvidia-smi for the software GPU: answers the questions that netgen and its recipe ask."""

from __future__ import annotations

import os
import struct
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

MIB = 1 << 20
NAME, DRIVER, CAPABILITY = "netgen software GPU", "550.00", "9.0"
UNITS = {"memory.total": "MiB", "memory.used": "MiB", "memory.free": "MiB"}
NOT_FOUND = 6  # the exit status of NVIDIA's


def fields(index: int) -> dict[str, str]:
    """Return what is known of a device, by NVIDIA's names."""
    total = int(os.environ.get("SOFTWARE_GPU_MEMORY") or 12288)
    used = sum(told[index] for told in processes()) // MIB
    return {
        "timestamp": datetime.now().strftime("%Y/%m/%d %H:%M:%S.%f")[:-3],
        "index": str(index),
        "name": NAME,
        "driver_version": DRIVER,
        "compute_cap": CAPABILITY,
        "memory.total": str(total),
        "memory.used": str(used),
        "memory.free": str(max(total - used, 0)),
        "count": str(count()),
        "utilization.gpu": "[N/A]",
        "uuid": f"GPU-netgen-software-{index}",
    }


def processes() -> list[tuple[int, ...]]:
    """Return the bytes that each process uses of each device; runtime/usage.cpp tells them."""
    folder = os.environ.get("SOFTWARE_GPU_STATE") or f"/tmp/software-gpu-{os.getuid()}"
    found = []
    for file in Path(folder).glob("[0-9]*"):
        if not Path("/proc", file.name).exists():
            file.unlink(missing_ok=True)  # of one that was killed
            continue
        with suppress(OSError, struct.error):
            found.append(struct.unpack("16Q", file.read_bytes()))
    return found


def count() -> int:
    """Return how many devices there are."""
    return int(os.environ.get("SOFTWARE_GPUS") or 1)


def main() -> int:
    """Answer the question of the command line; return the exit status."""
    asked, chosen, form, pause = "", list(range(count())), "", 0.0
    rest = sys.argv[1:]
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option in ("-i", "--id"):
            value = value if equals else rest.pop(0)
            if not value.isdecimal() or int(value) not in chosen:
                print("No devices were found")
                return NOT_FOUND
            chosen = [int(value)]
        elif option in ("--query-gpu", "--format"):
            asked, form = (value, form) if option == "--query-gpu" else (asked, value)
        elif option in ("-lms", "--loop-ms"):
            pause = int(value if equals else rest.pop(0)) / 1000
        elif option in ("-L", "--list-gpus"):
            form = "list"
        else:
            print(f"ERROR: Option {option} is not recognized. Please run 'nvidia-smi -h'.")
            return 2
    if not chosen:
        print("No devices were found")
        return NOT_FOUND
    while True:
        status = answer(asked.split(",") if asked else [], chosen, form.split(","))
        if status != 0 or not pause:
            return status
        sys.stdout.flush()
        time.sleep(pause)


def answer(asked: list[str], chosen: list[int], form: list[str]) -> int:
    """Print what was asked of the devices chosen."""
    if not asked:
        for index in chosen:
            print(f"GPU {index}: {NAME} (UUID: {fields(index)['uuid']})")
        return 0
    unknown = [name for name in asked if name not in fields(0)]
    if unknown:
        print(f'Field "{unknown[0]}" is not a valid field to query.\n')
        return 2
    if "noheader" not in form:
        units = [f" [{UNITS[name]}]" if name in UNITS else "" for name in asked]
        print(", ".join(name + unit for name, unit in zip(asked, units, strict=True)))
    for index in chosen:
        known = fields(index)
        with_units = "nounits" not in form
        cells = [
            f"{known[name]} {UNITS[name]}" if with_units and name in UNITS else known[name]
            for name in asked
        ]
        print(", ".join(cells))
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # what ends a loop
        sys.exit(main())
