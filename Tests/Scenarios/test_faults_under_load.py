"""Everything at once: kills, reloads, sick upstreams, slow and broken clients, under load, and nothing is left."""

import random
import threading

from harness import Client, Load, request
from harness.wire import Closed, until


def test_faults_of_every_kind_under_load(start_proxy, serve):
    def sick(stream, server):
        message = server.note(stream.read_request())
        number = len(server.requests)
        if number % 3 == 0:
            return
        if number % 3 == 1:
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            return
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" if message.method else b"")
    config = f"""
        services:
          demo: {{ demo: true, workers: 3, concurrency: 4, retry: {{ attempts: 3, budget: 1.0 }} }}
          sick: {{ upstreams: ["{serve(sick).url}"], timeout: {{ first_byte: 500ms }} }}
        routes: [{{ path: /sick/, to: sick }}, {{ to: demo }}]
    """
    proxy = start_proxy(config)
    good = Load(proxy, clients=4)
    stop = threading.Event()
    noise = [threading.Thread(target=make_noise, args=(proxy.address(), stop, seed)) for seed in range(3)]
    for thread in noise:
        thread.start()
    good.more(100)
    for turn in range(6):
        if turn % 3 == 0:
            proxy.kill(proxy.endpoints("demo")[turn % 2]["pid"])
        elif turn % 3 == 1:
            proxy.reload()
        else:
            proxy.kill(proxy.edges()[0]["pid"])
        good.more(100)
    stop.set()
    for thread in noise:
        thread.join()
    good.more(50).stop()
    # Only what two killed edges had in hand may be missing.
    assert len(good.lost) <= 2 * 4, good.lost
    assert set(good.statuses) == {200}

    def at_rest():
        status = proxy.status()
        return (all(endpoint["in_flight"] == 0 for service in status["services"].values() for endpoint in service["endpoints"])
                and all(edge["connections"] == 0 for edge in status["edges"])
                and all(endpoint["state"] == "ready" for endpoint in status["services"]["demo"]["endpoints"]))
    until(at_rest, "rest: no request, connection or place left")


def make_noise(address, stop, seed):
    """A client that does everything but behave; the same for the same seed."""
    chance = random.Random(seed)
    while not stop.is_set():
        try:
            with Client(address) as client:
                kind = chance.randrange(6)
                if kind == 0:
                    client.exchange(request("/sick/"))
                elif kind == 1:
                    client.send(request("/bytes?size=500000"))
                    client.read(100)
                    client.reset()
                elif kind == 2:
                    client.send(request("/upload", "POST", content_length=1000) + b"x" * 10)
                elif kind == 3:
                    client.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
                elif kind == 4:
                    client.send(bytes(chance.randrange(256) for _ in range(200)) + b"\r\n\r\n")
                else:
                    client.send(request("/stream?count=100&seconds=0.01"))
                    client.read_until(b"chunk 1\n")
        except (Closed, OSError, ValueError, IndexError):
            continue
