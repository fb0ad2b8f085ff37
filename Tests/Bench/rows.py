"""What is measured. A row is run once for each peer in each round; it gives named figures."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import load
import peers
import processes

SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
WARM_UP = 1
# Long enough that logs are written and that what is kept for a while is given back.
SETTLED = 1.5


class Row:
    """A figure of interest for each peer; `figure` names the one that is compared, lower is better."""

    group, unix, figure, unit = "", False, "cpu", "µs/request"

    def __init__(self, name):
        self.name = name

    def measure(self, peer, bench):
        raise NotImplementedError


def per_request(peer, action):
    """What `action`, which gives a count of requests and seconds, costs the peer per request."""
    before = processes.cost(peer.pids())
    count, seconds = action()[:2]
    used = processes.cost(peer.pids()) - before
    share = used.user_seconds / max(used.user_seconds + used.system_seconds, 1e-9)
    return {
        "cpu": used.cpu_seconds / count * 1e6, "user": used.cpu_seconds * share / count * 1e6,
        "rate": count / seconds, "count": count}


class Requests(Row):
    """Small requests on kept connections."""

    def __init__(self, group, file, connections, tls=False, unix=False):
        self.group, self.file, self.connections, self.tls, self.unix = group, file, connections, tls, unix
        way = "unix" if unix else "tcp"
        super().__init__(f"{group} {'TLS ' if tls else ''}{file} c{connections} {way}")

    def measure(self, peer, bench):
        url = f"https://localhost:{peer.tls}/{self.file}" if self.tls else f"http://127.0.0.1:{peer.plain}/{self.file}"
        load.for_seconds(url, self.connections, WARM_UP)
        slowest = []

        def action():
            count, seconds, percentile = load.for_seconds(url, self.connections, SECONDS)
            slowest.append(percentile)
            return count, seconds
        return {**per_request(peer, action), "p99": slowest[0] * 1e3}


class Handshakes(Row):
    group = "handshakes"
    unit = "µs/handshake"

    def __init__(self, resumed):
        self.resumed = resumed
        super().__init__(f"handshakes {'resumed' if resumed else 'full'}")

    def measure(self, peer, bench):
        load.handshakes(peer.tls, WARM_UP, self.resumed)
        return per_request(peer, lambda: load.handshakes(peer.tls, SECONDS, self.resumed))


class Bodies(Row):
    group, unit = "bodies", "µs/MB"

    def __init__(self, file, tls):
        self.file, self.tls = file, tls
        super().__init__(f"bodies {'TLS ' if tls else ''}{file}")

    def measure(self, peer, bench):
        scheme, port = ("https", peer.tls) if self.tls else ("http", peer.plain)
        megabytes, count, connections = (1, int(400 * SECONDS), 8) if self.file == "1m" else (100, int(6 * SECONDS), 2)
        url = f"{scheme}://localhost:{port}/{self.file}"
        load.exactly(url, connections, connections)
        idle = processes.memory_bytes(peer.pids())

        def action():
            began = time.monotonic()
            load.exactly(url, connections, count)
            return count, time.monotonic() - began
        figures = per_request(peer, action)
        figures["grown"] = (processes.memory_bytes(peer.pids()) - idle) / 1e6
        return {**figures, "cpu": figures["cpu"] / megabytes, "user": figures["user"] / megabytes, "rate": figures["rate"] * megabytes}


class Memory(Row):
    group, figure, unit = "memory", "memory", "KiB/connection"

    def __init__(self, tls):
        self.tls = tls
        super().__init__(f"memory idle {'TLS' if tls else 'plain'}")

    def measure(self, peer, bench):
        # What the first connections make a peer allocate once is not counted: the difference to more of them is.
        few, many = int(250 * SECONDS), int(1500 * SECONDS)
        opener = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("idle.py")), str(peer.tls if self.tls else peer.plain),
             str(few), str(many), str(bench.root) if self.tls else "plain"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processes.OTHER_CORE))
        whole = []
        try:
            for _ in range(2):
                if opener.stdout.readline() != "open\n":
                    raise RuntimeError("idle connections could not be opened")
                time.sleep(SETTLED)
                whole.append(processes.memory_bytes(peer.pids()))
                opener.stdin.write("more\n")
                opener.stdin.flush()
        finally:
            opener.stdin.close()
            opener.wait()
            opener.stdout.close()
        return {"memory": (whole[1] - whole[0]) / 1024 / many, "process": whole[1] / 1e6}


class Restart(Row):
    """From `kill -9` of the only edge, or worker process, to the next answer on a new connection."""

    group, figure, unit = "restart", "restart", "ms"

    def __init__(self):
        super().__init__("restart of a killed edge")

    def measure(self, peer, bench):
        victims = peer.pids()[1:]
        if isinstance(peer, peers.Proxy):
            victims = [pid for pid in victims if "edge" in Path(f"/proc/{pid}/cmdline").read_text()]
        if not victims:
            return {"restart": float("nan")}  # one process does it all: nobody restarts it
        os.kill(victims[0], 9)
        began = time.monotonic()
        while time.monotonic() - began < 10:
            try:
                with socket.create_connection(("127.0.0.1", peer.plain), 1) as connection:
                    connection.settimeout(1)
                    connection.sendall(b"GET /128 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    if connection.recv(12) == b"HTTP/1.1 200":
                        return {"restart": (time.monotonic() - began) * 1e3}
            except OSError:
                time.sleep(0.0005)
        raise RuntimeError("it did not come back")


def all_rows():
    rows = []
    for unix in (False, True):
        for file in ("128", "10k"):
            rows += [Requests("keepalive", file, connections, unix=unix) for connections in (8, 64, 512)]
    rows += [Requests("tls", file, connections, tls=True) for file in ("128", "10k") for connections in (8, 64)]
    rows += [Handshakes(False), Handshakes(True)]
    rows += [Bodies(file, tls) for tls in (False, True) for file in ("1m", "100m")]
    rows += [Memory(False), Memory(True), Restart()]
    return rows
