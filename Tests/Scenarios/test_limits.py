"""Part 5: every limit and time-out, by its outcome. Short values; no test judges how long anything took."""

import os
import resource
import threading

import pytest

from harness import Client, held, looks_into_edges, processes, request, silent
from harness.wire import Closed, until


def start(start_proxy, url, top="", service=""):
    return start_proxy(f"{top}\nservices:\n  web: {{ upstreams: ['{url}']{service} }}\n")


@pytest.mark.parametrize("started", [b"G", b"GET / HTTP/1.1\r\nHost: exam"])
def test_a_head_that_does_not_come_is_a_408(start_proxy, serve, started):
    proxy = start(start_proxy, serve().url, "timeout: { header: 200ms }")
    with proxy.client() as client:
        client.send(started)
        answer = client.response()
        assert (answer.status, answer.error, answer.get("connection")) == (408, "http_request_error", "close")
        assert client.ended()


def test_a_head_that_trickles_is_a_408_too(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "timeout: { header: 300ms }")
    with proxy.client() as client:
        client.connection.settimeout(0.05)
        for byte in request(x_field="a" * 1000):
            if not client.try_send(bytes([byte])):
                break
            try:
                if not client.more() or client.waiting:
                    break
            except TimeoutError:
                continue
        client.connection.settimeout(10)
        assert client.response().status == 408


def test_a_connection_that_says_nothing_is_closed_without_a_word(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "timeout: { header: 200ms, idle: 200ms }")
    with proxy.client() as client:
        assert client.ended()


def test_an_idle_connection_is_closed_without_a_word(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "timeout: { idle: 200ms }")
    with proxy.client() as client:
        assert client.exchange(request()).text == "ok"
        assert client.ended()


def test_a_body_that_stops_is_a_408(start_proxy, serve):
    server = serve(silent)
    proxy = start(start_proxy, server.url, "timeout: { body: 200ms }", ", buffer: request")
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=100) + b"x" * 10)
        answer = client.response()
        assert (answer.status, answer.error) == (408, "http_request_error")
        assert client.ended()
    assert server.requests == []


def test_a_body_that_is_too_slow_is_a_408(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "timeout: { body: 1s, body_rate: 100KiB/s }", ", buffer: request")
    stop = threading.Event()
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=1_000_000))

        def trickle():
            while client.try_send(b"x") and not stop.wait(0.05):
                pass
        sender = threading.Thread(target=trickle)
        sender.start()
        assert client.response().status == 408
        stop.set()
        sender.join()


def test_a_client_that_takes_nothing_of_its_answer_is_logged_as_timeout(start_proxy, serve):
    def script(stream, server):
        stream.read_head()
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        while stream.try_send(b"x" * 100_000):
            pass
    proxy = start(start_proxy, serve(script).url, "timeout: { body: 300ms }")
    with proxy.client() as client:
        client.send(request("/held"))
        line, = proxy.access(1, target="/held")
        assert (line["status"], line["outcome"], line["error"]) == (200, "timeout", None)


def test_an_early_answer_is_not_lost_to_the_body_that_still_comes(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "limits: { body: 10B }")
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=10_000))
        assert client.response().status == 413
        # A closed socket answers the first of these with a reset, and the next cannot be sent.
        assert all(client.try_send(b"x" * 1000) for _ in range(5))
        assert client.ended()


def test_a_tunnel_that_is_idle_ends(start_proxy, serve):
    def script(stream, server):
        stream.read_head()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        stream.more()
    proxy = start(start_proxy, serve(script).url, "timeout: { tunnel: 200ms }")
    with proxy.client() as client:
        assert client.exchange(request(upgrade="websocket", connection="Upgrade")).status == 101
        assert client.ended()


def test_the_body_limit_of_a_service_holds_beside_the_general_one(start_proxy, serve):
    large, small = serve(), serve()
    proxy = start_proxy(f"""
        limits: {{ body: 100KiB }}
        services:
          large: {{ upstreams: ["{large.url}"] }}
          small: {{ upstreams: ["{small.url}"], limits: {{ body: 10B }} }}
        routes:
          - {{ path: /small/, to: small }}
          - {{ to: large }}
    """)
    with proxy.client() as client:
        assert client.exchange(request("/large", "POST", body=b"x" * 1000)).status == 200
        assert client.exchange(request("/small/", "POST", body=b"x" * 10)).status == 200
        assert client.exchange(request("/small/", "POST", body=b"x" * 11)).status == 413


def test_connections_of_one_address_are_limited(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "edges: 1\nlimits: { connections_per_address: 3 }")
    clients = [proxy.client() for _ in range(3)]
    for client in clients:
        assert client.exchange(request()).text == "ok"
    assert not answered(proxy)
    line = proxy.event("connections_refused", reason="limits.connections_per_address")
    assert line["count"] >= 1 and proxy.edges()[0]["refused"] >= line["count"]
    clients.pop().close()
    until(lambda: answered(proxy), "room for one more")
    for client in clients:
        assert client.exchange(request()).text == "ok"
        client.close()


def test_connections_of_one_address_are_limited_over_all_edges(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "edges: 3\nlimits: { connections_per_address: 5 }")
    opened, refused = [], 0
    # The kernel spreads connections over the edges: fifteen would find room if each counted alone.
    for _ in range(40):
        client = None
        try:
            client = proxy.client()
            assert client.exchange(request()).text == "ok"
            opened.append(client)
        except (Closed, OSError):  # refused: perhaps before the connection was seen to stand
            refused += 1
            if client:
                client.close()
    assert (len(opened), refused) == (5, 35)
    # What a killed edge had comes back.
    victim = next(edge for edge in proxy.edges() if edge["connections"])
    proxy.kill(victim["pid"])
    until(lambda: answered(proxy), "room for one more")
    for client in opened:
        client.close()


def test_connections_in_all_are_limited(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "edges: 1\nlimits: { connections: 3 }")
    clients = [proxy.client() for _ in range(3)]
    for client in clients:
        assert client.exchange(request()).text == "ok"
    # One more is refused, or waits in the kernel's queue; it is not served beside the others.
    with proxy.client() as more:
        more.try_send(request())
        for client in clients:
            assert client.exchange(request()).text == "ok"
        proxy.event("accepting_paused", reason="limits.connections")
        assert more.waiting == b"" and proxy.status()["listeners"][0]["connections"] <= 3
        for client in clients:
            client.close()
    assert until(lambda: answered(proxy), "room again")


def answered(proxy):
    try:
        return proxy.get().text == "ok"
    except (Closed, OSError):
        return False


def test_a_full_queue_is_a_503_and_a_wait_that_is_over_too(start_proxy, serve):
    proxy = start_proxy("""
        services:
          demo: { demo: true, workers: 1, queue: { length: 1, wait: 700ms } }
    """)
    with proxy.client() as busy, proxy.client() as waiting:
        busy.send(request("/sleep?seconds=2"))
        until(lambda: proxy.endpoints("demo")[0]["in_flight"] == 1, "the first in its place")
        waiting.send(request("/worker"))
        until(lambda: proxy.status()["services"]["demo"]["queue"]["waiting"] == 1, "the second in the queue")
        third = proxy.get("/worker")
        assert (third.status, third.error, third.get("retry-after")) == (503, "connection_limit_reached", "1")
        second = waiting.response()
        assert (second.status, second.error, second.get("retry-after")) == (503, "connection_limit_reached", "1")
        assert busy.response().json["slept"] == 2.0


def test_the_request_time_limit_replaces_the_worker(start_proxy):
    proxy = start_proxy("""
        services:
          demo: { demo: true, workers: 1, timeout: { request: 400ms } }
    """)
    before = proxy.endpoints("demo")[0]["pid"]
    answer = proxy.get("/sleep?seconds=60")
    assert (answer.status, answer.error) == (504, "http_response_timeout")
    assert until(lambda: answered_by_other(proxy, before), "another worker")


def answered_by_other(proxy, before):
    answer = proxy.get("/worker")
    return answer.status == 200 and answer.json["pid"] != before


def test_a_slow_client_is_not_the_workers_time(start_proxy):
    proxy = start_proxy("""
        services:
          demo: { demo: true, workers: 1, buffer: request, timeout: { request: 1s } }
    """)
    with proxy.client(receive_buffer=4096) as client:
        client.send(request("/bytes?size=3000000"))
        client.read_head()
        assert proxy.get("/worker").status == 200
        assert threading.Event().wait(1.5) is False
        assert len(client.read(3_000_000)) == 3_000_000


@pytest.mark.parametrize("queue, pool", [("60s", "300ms"), ("300ms", "60s")])
def test_the_pool_of_connections_to_an_upstream_is_bounded(start_proxy, serve, queue, pool):
    # The shorter of the two waits holds; the longer one is beyond any client's patience here.
    release = threading.Event()
    server = serve(held(release))
    proxy = start(start_proxy, server.url, "edges: 1", (
        f", queue: {{ length: 100, wait: {queue} }}, pool: {{ size: 2, max_overflow: 2, timeout: {pool} }}"))
    clients = [proxy.client() for _ in range(8)]
    for client in clients:
        client.send(request())
    until(lambda: len(server.requests) == 4, "four at the upstream")
    # The other four wait for a connection, and in vain.
    refused = clients[4:]
    for client in refused:
        answer = client.response()
        assert (answer.status, answer.error, answer.get("retry-after")) == (503, "connection_limit_reached", "1")
    assert server.connections == 4
    release.set()
    for client in clients[:4]:
        assert client.response().text == "ok"
    for client in clients:
        client.close()


def test_an_idle_upstream_connection_is_closed_by_the_proxy(start_proxy, serve):
    ended = threading.Event()

    def script(stream, server):
        server.note(stream.read_request())
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if stream.ended():
            ended.set()
    server = serve(script)
    proxy = start(start_proxy, server.url, "", ", pool: { idle: 200ms }")
    assert proxy.get().text == "ok"
    assert ended.wait(10)


def test_a_descriptor_limit_that_is_too_low_is_said_at_start(start_proxy, serve):
    proxy = start_proxy(
        f"limits: {{ connections: 20000 }}\nservices: {{ web: {{ upstreams: ['{serve().url}'] }} }}", ready=False,
        preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    assert proxy.finished() == 78
    assert "limits.connections" in proxy.errors


@looks_into_edges
def test_at_the_descriptor_limit_it_neither_spins_nor_dies_and_recovers(start_proxy, serve):
    proxy = start(start_proxy, serve().url, "edges: 1\nlimits: { connections: 100 }")
    edge = proxy.edges()[0]["pid"]
    clients = [proxy.client() for _ in range(10)]
    for client in clients:
        assert client.exchange(request()).text == "ok"
    # Fewer than it was promised, behind its back.
    processes.limit(edge, "nofile", len(os.listdir(f"/proc/{edge}/fd")) + 4)
    more = []
    for _ in range(30):
        more.append(proxy.client())
        more[-1].send(request())

    def ticks():
        with open(f"/proc/{edge}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    threading.Event().wait(1)
    assert ticks() - before < 50, "it spins"
    for client in clients + more:
        client.close()
    processes.limit(edge, "nofile", 1000)
    assert until(lambda: answered(proxy), "service again")
    assert proxy.edges()[0]["pid"] == edge


def test_two_thousand_slow_clients_do_not_hold_up_the_others(start_proxy):
    # On a busy machine they are slower than the usual limits allow.
    proxy = start_proxy("""
        limits: { connections: 6000, connections_per_address: 6000 }
        timeout: { header: 5m, body: 5m, idle: 5m, body_rate: 1B/s }
        services:
          demo: { demo: true, workers: 2, buffer: request }
    """)
    slow = []
    for number in range(2000):
        client = Client(proxy.address())
        if number % 3 == 0:
            client.send(b"GET / HTTP/1.1\r\nHost: exa")
        elif number % 3 == 1:
            client.send(request("/upload", "POST", content_length=1000) + b"x" * 10)
        slow.append(client)
    with proxy.client() as quick:
        for _ in range(300):
            assert quick.exchange(request("/worker")).status == 200
    # Each that goes on is served.
    for number, client in enumerate(slow[:60]):
        if number % 3 == 0:
            client.send(b"mple.test\r\n\r\n")
        elif number % 3 == 1:
            client.send(b"x" * 990)
        else:
            client.send(request("/worker"))
        assert client.response().status == 200
    for client in slow:
        client.close()
