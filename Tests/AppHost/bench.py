"""CPU and wall time per request of one worker: `python bench.py MODULE:APP [REQUESTS [THREADS]]`.

One connection, one request at a time, with the fields that a browser sends through an edge.
"""

import os
import sys
import time

from master import Zygote, head

FIELDS = (
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
)


def main():
    app = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    zygote = Zygote(app, os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps"), threads)
    print(zygote.imported()["description"])
    worker = zygote.fork()
    edge = worker.connect()
    request = head(fields=FIELDS)
    sock = edge.socket
    sock.settimeout(None)
    for part in range(4):
        began, used = time.monotonic(), process_cpu(worker.pid)
        for _ in range(count // 4):
            sock.sendall(request)
            sock.recv(65536)
        used = process_cpu(worker.pid) - used
        print("%.1f µs CPU, %.1f µs wall" % (
            used / (count // 4) * 1e6, (time.monotonic() - began) / (count // 4) * 1e6))
    zygote.close()


def process_cpu(pid):
    """Seconds that all threads of a process have run."""
    used = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as file:
            used += int(file.read().split()[0])
    return used / 1e9


if __name__ == "__main__":
    main()
