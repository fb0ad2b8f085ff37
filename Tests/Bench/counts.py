"""Counts, which repeat whatever the machine is doing: system calls, instructions and allocations per request."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import load
import peers
import processes
from rows import Row

REQUESTS = 2000
CONNECTIONS = 8


def worker_of(peer):
    """The process of a peer that handles requests."""
    pids = peer.pids()
    if isinstance(peer, peers.Proxy):
        return next(pid for pid in pids if "edge" in Path(f"/proc/{pid}/cmdline").read_text())
    return pids[-1]


class SystemCalls(Row):
    group, figure, unit = "syscalls", "syscalls", "calls/request"

    def __init__(self, tls):
        self.tls = tls
        super().__init__(f"system calls keep-alive{' TLS' if tls else ''} 128 c{CONNECTIONS}")

    def measure(self, peer, bench):
        url = f"https://localhost:{peer.tls}/128" if self.tls else f"http://127.0.0.1:{peer.plain}/128"
        load.exactly(url, CONNECTIONS, CONNECTIONS)
        pid = worker_of(peer)
        summary = bench.folder / f"strace-{peer.name}"
        tracer = subprocess.Popen(
            ["strace", "--summary-only", "--follow-forks", "--attach", str(pid), "--output", str(summary)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while f"TracerPid:\t{tracer.pid}\n" not in Path(f"/proc/{pid}/status").read_text():
                if tracer.poll() is not None:
                    raise RuntimeError("strace could not attach")
                time.sleep(0.01)
            load.exactly(url, CONNECTIONS, REQUESTS)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
        calls = {}
        for line in summary.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3]) / REQUESTS
        named = {name: round(count, 2) for name, count in sorted(calls.items(), key=lambda call: -call[1]) if count >= 0.01}
        return {"syscalls": sum(calls.values()), "calls": named}


class Instructions(Row):
    """The edge under callgrind, twice with different counts: the difference is what a request costs."""

    group, figure, unit = "instructions", "instructions", "instructions/request"
    only = {"proxy"}

    def __init__(self, tls):
        self.tls = tls
        super().__init__(f"instructions keep-alive{' TLS' if tls else ''} 128 c{CONNECTIONS}")

    def measure(self, peer, bench):
        few, many = (self._count(bench, count) for count in (REQUESTS, REQUESTS * 2))
        return {name: (many[name] - few[name]) / REQUESTS for name in few}

    def _count(self, bench, count):
        output = bench.folder / f"callgrind-{count}-{self.tls}"
        output.unlink(missing_ok=True)
        with Counted(bench.site(unix=False), output) as peer:
            url = f"https://localhost:{peer.tls}/128" if self.tls else f"http://127.0.0.1:{peer.plain}/128"
            load.exactly(url, CONNECTIONS, count)
        text = output.read_text()
        return {"instructions": instructions(text), "allocations": calls_to(text, ALLOCATORS)}


ALLOCATORS = ("malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc")


class Counted(peers.Proxy):
    """The proxy with its edge under callgrind."""

    name = "proxy-counted"

    def __init__(self, site, output):
        library, binary = site.folder / "edge_under_callgrind.so", site.folder / "proxy-stripped"
        if not binary.exists():
            source = Path(__file__).with_name("edge_under_callgrind.c")
            processes.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"])
            processes.run(["strip", "--strip-debug", "-o", binary, peers.BINARY])
        self.environment = {
            **os.environ, "LD_PRELOAD": str(library), "CALLGRIND_OUTPUT": str(output), "CALLGRIND_BINARY": str(binary)}
        super().__init__(site)

    def configuration(self, site):
        # callgrind opens its file before the edge gives its rights away, and again after.
        return ("user: root\n" if os.getuid() == 0 else "") + super().configuration(site)


def instructions(text):
    """The total of a callgrind file."""
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)[1])


def calls_to(text, names):
    """How often functions were called, by a callgrind file, whose names are written out once and then numbered."""
    wanted, total, called = set(), 0, None
    for line in text.splitlines():
        if line.startswith(("fn=", "cfn=")):
            number, _, name = line.split("=", 1)[1].partition(" ")
            if name and name.split("@")[0] in names:
                wanted.add(number)
            called = number if line.startswith("cfn=") else called
        elif line.startswith("calls=") and called in wanted:
            total += int(line[6:].split()[0])
    return total


def all_rows():
    return [SystemCalls(False), SystemCalls(True), Instructions(False), Instructions(True)]
