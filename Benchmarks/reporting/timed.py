"""Seconds and peak memory of a command: `python timed.py COMMAND...` prints them as JSON. Linux and macOS.

In a process of its own, because on Linux a child counts the memory of the process that started it as its own peak.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss

if __name__ == "__main__":
    begun = time.perf_counter()
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(done.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * BYTES
    print(json.dumps({"seconds": round(seconds, 2), "peak_mb": round(peak / 1e6)}))
