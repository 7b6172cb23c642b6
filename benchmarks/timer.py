"""Runs a Python command and adds a line to $BENCHMARK_LOG: its words and its seconds. Stands in for `python` in a measured project."""

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
