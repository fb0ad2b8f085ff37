"""Load generators on the other core: wrk for a length of time, h2load for an exact count, openssl for resumed sessions."""

import re
import time

import processes

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def for_seconds(url, connections, seconds, *more):
    """As many requests as fit; gives their count, the seconds, and the 99th percentile of the latency."""
    text = processes.run([
        "wrk", "--threads", "1", "--connections", connections, "--duration", f"{seconds}s", "--timeout", "10s", "--latency", *more, url])
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m),", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    if failed or (broken and any(int(count) for count in broken.groups())):
        raise RuntimeError(f"not every request was answered with a 2xx:\n{text}")
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", text)
    return int(done[1]), float(done[2]) * UNITS[done[3]], float(slowest[1]) * UNITS[slowest[2]]


def until_answered(url, seconds=20):
    """Waits until a server behind a proxy is there too."""
    end = time.monotonic() + seconds
    while True:
        text = processes.run(["curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}", url])
        if text == "200":
            return
        if time.monotonic() > end:
            raise RuntimeError(f"{url} answers with {text}")
        time.sleep(0.05)


def exactly(url, connections, count):
    """Exactly so many requests."""
    text = processes.run([
        "h2load", "--h1", "--threads", "1", "--clients", connections, "--requests", count, url], seconds=600)
    if f"{count} succeeded" not in text:
        raise RuntimeError(f"not every request succeeded:\n{text}")
    return count


def handshakes(port, seconds, resumed):
    """A connection with its handshake for each request; gives their count and the seconds."""
    if not resumed:
        return for_seconds(f"https://localhost:{port}/128", 32, seconds, "--header", "Connection: close")[:2]
    # wrk resumes no session; `openssl s_time` does, on one connection at a time.
    clients = [
        processes.begin(["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-reuse", "-time", seconds, "-www", "/128"])
        for _ in range(16)]
    count, began = 0, time.monotonic()
    for client in clients:
        text = client.communicate(timeout=seconds + 60)[0]
        marks = re.search(r"starting\n([r*t]+)", text)
        if client.returncode or not marks or "*" in marks[1]:
            raise RuntimeError(f"a session was not resumed:\n{text[-500:]}")
        count += len(marks[1])
    return count, time.monotonic() - began
