"""`make bench`: the proxy beside nginx and HAProxy, and beside the Python servers, one at a time on one core.

Rounds are interleaved A B C, C B A, …; only ratios within a round count, for the machine may be noisy. CPU is what the
kernel's scheduler counted for all processes of a proxy. Results go to `.bench/figures.md` and `.bench/figures.json`,
the configurations beside them.

On a virtual machine, memory that the guest has never used costs its host a page fault at the first write: here a log of
650 bytes a request cost 1.1 µs into fresh pages and 0.2 µs into used ones. That is the machine's price and no proxy's,
so memory is used once before anything is measured, and a peer's log is removed when it stops, for the next one to write
into the same pages.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import backend
import counts
import peers
import processes
import python_servers
import report
import rows

OUTPUT = peers.TREE / ".bench"
# More than the logs of one peer in one row grow to.
WARMED_BYTES = 2 << 30


class Bench:
    """The folder, certificate and backend that all rows share."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="proxy-bench-"))
        self.folder.chmod(0o755)
        self.root, self.key = self.folder / "root.pem", self.folder / "root.key"
        processes.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", self.key, "-out", self.root])
        for name, source in python_servers.APPS.items():
            (self.folder / f"{name}.py").write_text(source)
        self._use_memory()
        self.backend = backend.Backend(self.folder)

    def _use_memory(self):
        """Lets the page cache use memory that later files get again."""
        block = bytes(1 << 20)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            for _ in range(WARMED_BYTES // len(block)):
                file.write(block)

    def site(self, unix=False, app=None):
        return peers.Site(self.folder, app or self.backend.address(unix), self.root, self.key)

    def close(self):
        self.backend.stop()
        shutil.rmtree(self.folder)


def chosen(names):
    everything = rows.all_rows() + counts.all_rows() + python_servers.all_rows()
    if names == ["all"]:
        return everything
    picked = [row for row in everything if any(name in (row.group, row.name) for name in names)]
    if not picked:
        groups = sorted({row.group for row in everything})
        sys.exit(f"no such row: {', '.join(names)}; there are the groups {', '.join(groups)}, and:\n"
                 + "\n".join(row.name for row in everything))
    return picked


def peers_of(row, only):
    every = python_servers.PEERS if row.group == "python" else peers.PEERS
    named = {name: peer for name, peer in every.items() if not only or name in only}
    return {name: peer for name, peer in named.items() if name in getattr(row, "only", named)}


def measure(bench, row, only, rounds, results):
    repeats = min(rounds, 1) if row.group in ("syscalls", "instructions") else rounds
    measured = results.setdefault(row.name, {"row": row})
    for number in range(repeats):
        those = list(peers_of(row, only).items())
        for name, kind in those if number % 2 == 0 else reversed(those):
            with kind(bench.site(row.unix, getattr(row, "app", None))) as peer:
                figures = row.measure(peer, bench)
                (OUTPUT / f"{name}.conf").write_text(peer.file.read_text())
            measured.setdefault(name, []).append(figures)
            print(f"  round {number + 1} {name}: " + ", ".join(
                f"{key} {value:.2f}" for key, value in figures.items() if isinstance(value, (int, float))), flush=True)


def about():
    versions = []
    for command in (["nginx", "-v"], ["haproxy", "-v"], ["wrk", "-v"], ["openssl", "version"]):
        done = subprocess.run(command, capture_output=True, text=True)
        versions.append((done.stdout + done.stderr).split("\n")[0].strip())
    return (f"{time.strftime('%Y-%m-%d')}, kernel {platform.release()}, {os.cpu_count()} cores, "
            f"proxy on core {sorted(processes.PROXY_CORE)[0]}, load and backend on core {sorted(processes.OTHER_CORE)[0]}; "
            + "; ".join(versions) + ". Median (least–greatest) of the rounds; ratios are paired within a round, lower is better.")


def written(results):
    """Writes the tables, after each row anew: a run that is broken off keeps what it has."""
    table = report.summary(results)
    text = report.markdown(table, about())
    (OUTPUT / "figures.md").write_text(text)
    (OUTPUT / "figures.json").write_text(json.dumps({"about": about(), "rows": table}, indent=1))
    return text


def main():
    options = argparse.ArgumentParser(prog="make bench")
    options.add_argument("--rows", default="all", help="groups or names of rows, separated by commas")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--peers", default="", help="only these, separated by commas")
    given = options.parse_args()
    OUTPUT.mkdir(exist_ok=True)
    only = [name for name in given.peers.split(",") if name]
    results, bench = {}, Bench()
    try:
        for row in chosen(given.rows.split(",")):
            print(row.name, flush=True)
            measure(bench, row, only, given.rounds, results)
            text = written(results)
    finally:
        bench.close()
    print()
    print(text)
    print("Configurations as they were used:\n")
    for name in sorted({name for measured in results.values() for name in measured if name != "row"}):
        print(f"--- {name}\n{(OUTPUT / f'{name}.conf').read_text()}")


if __name__ == "__main__":
    main()
