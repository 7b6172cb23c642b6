"""Run a Python command and append its arguments and costs to $BENCHMARK_LOG.

Replaces `python` in the projects that are measured. The costs are seconds, CPU seconds and the peak
anonymous memory of the process and its children in bytes, as in `benchmarks/memory.py`; 0 without
/proc.
"""

import json
import os
import resource
import subprocess
import sys
import time

POLL_SECONDS = 0.1  # between two readings of the memory; a shorter peak can be missed


def anonymous_memory(pid: int) -> int:
    """Return the anonymous memory of a process and all its children, in bytes."""
    try:
        with open(f"/proc/{pid}/status") as status:
            own = [int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon")]
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return sum(own) + sum(map(anonymous_memory, map(int, children.read().split())))
    except OSError:  # the process has ended
        return 0


start = time.monotonic()
process, peak = subprocess.Popen([sys.executable, *sys.argv[1:]]), 0
while process.poll() is None:
    peak = max(peak, anonymous_memory(process.pid))
    time.sleep(POLL_SECONDS)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
costs = [time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak]
with open(os.environ["BENCHMARK_LOG"], "a") as log:
    log.write(json.dumps([sys.argv[1:], *costs]) + "\n")
sys.exit(process.returncode)
