"""Run a Python command and append its arguments and seconds to $BENCHMARK_LOG.

Replaces `python` in the projects that are measured.
"""

import json
import os
import subprocess
import sys
import time

start = time.monotonic()
status = subprocess.call([sys.executable, *sys.argv[1:]])
with open(os.environ["BENCHMARK_LOG"], "a") as log:
    log.write(json.dumps([sys.argv[1:], time.monotonic() - start]) + "\n")
sys.exit(status)
