"""Latency and throughput of the HTTP service under load, with and without sharing calls of the network.

    python benchmarks/serving.py                                   # DCGAN-64 as ONNX; 1, 8 and 64 clients, 10 s each
    python benchmarks/serving.py --model work/model/bundle --clients 64 --seconds 60 --batches 256

Starts `faceforge serve` on this machine and asks it from threads of this process, each over a connection of its own,
each as fast as it is answered; a client that is told to come back (429) waits a tenth of a second. Clients and server
share the processor. Before and after each load, the network alone draws batches of 256 in a process of its own:
`share_of_network` is the service's rate divided by that of the network, and `p99_in_batches` its 99th percentile
divided by the time of such a batch. Exit code 1: an answer was neither 200 nor 429, or the server's memory grew by more
than a tenth between the first third and the end of a load.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

GROWTH = 1.1  # of the server's memory during a load, at most
BATCH = 256  # images of a call of the network alone


def main() -> int:
    """Prints a line of JSON per load; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="what to serve; unset: a fresh DCGAN-64 as ONNX")
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--batches", default="256,1", help="images per network call; 1 = every request for itself")
    parser.add_argument("--images", type=int, default=4, help="per request")
    parser.add_argument("--accept", default="application/json")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rate:
        print(draw_alone(options.model, options.seconds))
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or fresh_onnx(Path(folder))
        for batch in map(int, options.batches.split(",")):
            for clients in map(int, options.clients.split(",")):
                alone = [network_rate(model)]
                with running_server(model, batch) as url:
                    result = load(url, clients, options.images, options.accept, options.seconds)
                alone.append(network_rate(model))
                result |= beside(result, statistics.mean(alone))
                first, last = result["server_mib"][1:]
                failed |= last > first * GROWTH or bool(set(result["statuses"]) - {"200", "429"})
                print(json.dumps({"batch": batch, "clients": clients, **result}), flush=True)
    return int(failed)


def fresh_onnx(folder: Path) -> str:
    """An untrained DCGAN-64; made in another process, which leaves this one free of TensorFlow."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from generate import fresh_bundle;"
        "from faceforge.export.onnx import write_onnx; write_onnx(fresh_bundle('dcgan64'), Path(sys.argv[2]))"
    )
    path = folder / "generator.onnx"
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(path)], check=True)
    return str(path)


def network_rate(model: str) -> float:
    """Images per second of the network alone."""
    command = [sys.executable, __file__, "--rate", "--model", model, "--seconds", "3"]
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return float(finished.stdout)


def draw_alone(model: str, seconds: float) -> float:
    """Images per second over at least `seconds`, after a warm-up."""
    from faceforge.inference.generator import Generator
    from faceforge.models.sampling import cycle_labels, draw_latents

    network = Generator.load(model).bundle
    latents = draw_latents(0, BATCH, network.info.spec.latent_size)
    labels = cycle_labels(network.info.labels, BATCH)
    network.generate(latents, labels, BATCH)
    began, calls = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        network.generate(latents, labels, BATCH)
        calls += 1
    return calls * BATCH / (time.monotonic() - began)


def beside(result: dict[str, Any], network: float) -> dict[str, float]:
    """The service beside the network alone, whose rate is given in images per second."""
    return {
        "network_images_per_second": round(network, 1),
        "share_of_network": round(result["images_per_second"] / network, 2),
        "p99_in_batches": round(result["p99_ms"] / 1000 / (BATCH / network), 2),
    }


@contextmanager
def running_server(model: str, batch: int) -> Iterator[str]:
    """Address of a server that is ready."""
    command = [
        sys.executable,
        "-m",
        "faceforge.cli.main",
        "serve",
        "--port",
        "0",
        "--model",
        model,
        "--batch",
        str(batch),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found, f"no server for {model}"
        while ask(connect(found[0]), "GET", "/readyz")[0] != 200:
            time.sleep(0.1)
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def load(url: str, clients: int, images: int, accept: str, seconds: float) -> dict[str, Any]:
    """What `clients` at once see during `seconds`: latencies in milliseconds, images per second, statuses, memory."""
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    end = time.monotonic() + seconds

    def work(client: int) -> None:
        connection, number = connect(url), 0
        while time.monotonic() < end:
            body = json.dumps({"num_images": images, "seed": client * 1_000_000 + number})
            began = time.monotonic()
            try:
                status, _ = ask(connection, "POST", "/v1/generate", body, accept)
            except (OSError, http.client.HTTPException) as error:
                statuses[type(error).__name__] += 1
                connection = connect(url)
                continue
            statuses[str(status)] += 1
            number += 1
            if status == 200:
                latencies.append(time.monotonic() - began)
            else:
                time.sleep(0.1)

    memory = [resident(url)]
    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 3)
    memory.append(resident(url))
    for thread in threads:
        thread.join()
    memory.append(resident(url))
    p50, p99 = np.percentile(latencies, [50, 99]) * 1000 if latencies else (float("nan"),) * 2
    return {
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "images_per_second": round(len(latencies) * images / seconds, 1),
        "statuses": dict(statuses),
        "server_mib": [round(each) for each in memory],  # before, after a third, at the end
    }


def connect(url: str) -> http.client.HTTPConnection:
    """A connection that is opened with its first request."""
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: str = "", accept: str = "*/*"
) -> tuple[int, bytes]:
    """Status and body of the answer."""
    connection.request(method, path, body or None, {"Accept": accept, "Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def resident(url: str) -> float:
    """The server's resident memory, MiB, as it tells Prometheus."""
    text = ask(connect(url), "GET", "/metrics")[1].decode()
    line = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
    return float(line.split()[1]) / 2**20


if __name__ == "__main__":
    sys.exit(main())
