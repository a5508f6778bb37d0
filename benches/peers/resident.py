#!/usr/bin/env python3
"""Runs a command and writes its peak resident memory, in bytes, to a file.

    python3 benches/peers/resident.py FILE COMMAND ...

Its own exit code is the command's. Without Python's module `resource`, as on Windows, it writes nothing.
"""

import pathlib
import signal
import subprocess
import sys

try:
    import resource
except ImportError:
    resource = None

# `ru_maxrss` is in bytes on macOS and in KiB elsewhere.
UNIT = 1 if sys.platform == "darwin" else 1024


def main():
    file, *command = sys.argv[1:]
    process = subprocess.Popen(command)
    # Whoever ends this script wants to end the command.
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    code = process.wait()
    if resource:
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * UNIT
        pathlib.Path(file).write_text(str(peak))
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
