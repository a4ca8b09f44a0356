"""What hostile requests do to a server: the event loop's longest pause, memory, and the time that shutdown takes.

    python benchmarks/hostile_requests.py --model generator.onnx

Sends the requests of tests/serving/test_event_loop.py one after another, while health checks measure the pause. Prints
a line of JSON for each request and one for the server. Exit code 1: a pause of a quarter of a second or more.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.serving.test_event_loop import HOSTILE, LONGEST_PAUSE, longest_pause


def main() -> int:
    """Starts a server, sends all requests, stops it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="ONNX file or bundle to serve")
    command = [sys.executable, "-m", "faceforge.cli.main", "serve", "--port", "0", "--model", parser.parse_args().model]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found, "the server does not start"
        while httpx.get(f"{found[0]}/readyz", timeout=60).status_code != 200:
            time.sleep(0.1)
        before, longest = _peak_mib(process.pid), 0.0
        for name, (path, content_type, body) in HOSTILE.items():
            pause = longest_pause(found[0], lambda: _send(f"{found[0]}/v1/{path}", content_type, body))  # noqa: B023
            longest = max(longest, pause)
            print(json.dumps({"request": name, "pause_ms": round(1000 * pause)}), flush=True)
        after, began = _peak_mib(process.pid), time.monotonic()
    finally:
        process.terminate()
        process.wait()
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"longest_pause_ms": round(1000 * longest), "peak_mib": [before, after], "shutdown_s": seconds}))
    return int(longest >= LONGEST_PAUSE)


def _send(url: str, content_type: str, body: bytes) -> None:
    httpx.post(url, content=body, headers={"Content-Type": content_type}, timeout=60)


def _peak_mib(process: int) -> int:
    """The largest resident memory of a process so far, MiB."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    sys.exit(main())
