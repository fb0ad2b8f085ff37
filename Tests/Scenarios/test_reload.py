"""Part 3: reload loses nothing, keeps the old config on any error, and touches only what changed."""

import signal
import threading

import pytest

from harness import Load, answering, processes, request, run_proxy
from harness.wire import until

DEMO = "services: { demo: { demo: true, workers: 2 } }"


@pytest.mark.parametrize("keep", [True, False])
def test_five_reloads_under_load_lose_no_request(start_proxy, keep):
    proxy = start_proxy(DEMO)
    load = Load(proxy, keep=keep)
    for number in range(5):
        load.more()
        assert proxy.reload()["generation"] == number + 2
    load.more()
    load.end()
    status = proxy.status()
    assert status["generation"] == 6
    assert {edge["generation"] for edge in status["edges"] if edge["state"] == "ready"} == {6}


def test_a_reload_with_no_change_keeps_the_workers(start_proxy):
    proxy = start_proxy(DEMO)
    before = [worker["pid"] for worker in proxy.endpoints("demo")]
    edges = {edge["pid"] for edge in proxy.edges()}
    proxy.reload()
    assert [worker["pid"] for worker in proxy.endpoints("demo")] == before
    assert edges.isdisjoint(edge["pid"] for edge in proxy.edges())
    assert "app code unchanged" in str(proxy.event("config_reloaded"))


def test_only_the_service_that_changed_is_replaced(start_proxy):
    config = """
        services:
          one: {{ demo: true, workers: 1 }}
          two: {{ demo: true, workers: {workers} }}
        routes:
          - {{ path: /one/, strip: /one, to: one }}
          - {{ to: two }}
    """
    proxy = start_proxy(config.format(workers=1))
    one = [worker["pid"] for worker in proxy.endpoints("one")]
    proxy.reload(config.format(workers=2))
    assert [worker["pid"] for worker in proxy.endpoints("one")] == one
    until(lambda: [worker["state"] for worker in proxy.endpoints("two")] == ["ready", "ready"], "two workers")


def test_a_bad_config_changes_nothing(start_proxy):
    proxy = start_proxy(DEMO)
    edges = [edge["pid"] for edge in proxy.edges()]
    proxy.write("services: { demo: { demo: true, workers: many } }")
    answer = proxy.command("reload")
    assert (answer["ok"], answer["exit"]) == (False, 78)
    assert answer["diagnostics"][0]["key"] == "services.demo.workers"
    proxy.event("config_rejected")
    proxy.signal(signal.SIGHUP)
    proxy.event("config_rejected", count=2)
    assert [edge["pid"] for edge in proxy.edges()] == edges
    assert proxy.get("/worker").status == 200


def test_a_listener_that_is_taken_changes_nothing(start_proxy, serve):
    proxy = start_proxy(DEMO)
    taken = serve()
    proxy.write(f'listen: ["http://127.0.0.1:0", "http://127.0.0.1:{taken.port}"]\n' + DEMO)
    answer = proxy.command("reload")
    assert not answer["ok"] and "is taken" in answer["error"]
    assert proxy.get("/worker").status == 200


def test_hup_reloads(start_proxy):
    proxy = start_proxy(DEMO)
    proxy.signal(signal.SIGHUP)
    proxy.event("config_reloaded")
    assert proxy.status()["generation"] == 2


def test_the_command_reload(start_proxy):
    proxy = start_proxy(DEMO)
    done = run_proxy("reload", "--conf", proxy.configuration)
    assert done.returncode == 0, done.stderr
    assert proxy.status()["generation"] == 2
    proxy.write("services: {}")
    done = run_proxy("reload", "--conf", proxy.configuration)
    assert done.returncode == 78


def test_no_idle_connection_is_closed_by_a_reload(start_proxy):
    proxy = start_proxy(DEMO)
    with proxy.client() as client:
        assert client.exchange(request("/worker")).get("connection") is None
        proxy.reload()
        answer = client.exchange(request("/worker"))
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert client.ended()


def test_long_streams_and_tunnels_outlive_a_reload(start_proxy, serve):
    def script(stream, server):
        head = server.note(stream.read_head())
        if head.get("upgrade"):
            stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while stream.more():
                data, stream.waiting = stream.waiting, b""
                stream.send(data)
        else:
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            go.wait(30)
            stream.send(b"4\r\nlast\r\n0\r\n\r\n")
    go = threading.Event()
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{serve(script).url}'] }} }}")
    with proxy.client() as tunnel, proxy.client() as events:
        assert tunnel.exchange(request(upgrade="websocket", connection="Upgrade")).status == 101
        events.send(request())
        events.read_until(b"first\r\n")
        proxy.reload()
        assert len({edge["generation"] for edge in proxy.status()["edges"]}) == 2
        tunnel.send(b"still here")
        assert tunnel.read(10) == b"still here"
        go.set()
        assert events.read_until(b"0\r\n\r\n").startswith(b"4\r\nlast")
    until(lambda: {edge["generation"] for edge in proxy.status()["edges"]} == {2}, "the end of the old edges")


def test_an_old_edge_ends_at_the_drain_limit(start_proxy, serve):
    def script(stream, server):
        stream.read_head()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        stream.more()
    proxy = start_proxy(f"timeout: {{ drain_reload: 300ms }}\nservices: {{ web: {{ upstreams: ['{serve(script).url}'] }} }}")
    with proxy.client() as tunnel:
        assert tunnel.exchange(request(upgrade="websocket", connection="Upgrade")).status == 101
        proxy.reload()
        assert tunnel.ended()
    until(lambda: {edge["generation"] for edge in proxy.status()["edges"]} == {2}, "the end of the old edges")


def test_at_most_four_generations_live(start_proxy, serve):
    def script(stream, server):
        stream.read_head()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while stream.more():
            data, stream.waiting = stream.waiting, b""
            stream.send(data)
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{serve(script).url}'] }} }}")
    tunnels = []
    for _ in range(6):
        tunnels.append(proxy.client())
        assert tunnels[-1].exchange(request(upgrade="websocket", connection="Upgrade")).status == 101
        proxy.reload()
    until(lambda: len({edge["generation"] for edge in proxy.status()["edges"]}) <= 4, "four generations")
    assert tunnels[0].ended()
    tunnels[-1].send(b"last")
    assert tunnels[-1].read(4) == b"last"
    for tunnel in tunnels:
        tunnel.close()


def test_fewer_edges_take_over_the_sockets_left_over(start_proxy):
    proxy = start_proxy("edges: 3\n" + DEMO)
    load = Load(proxy, keep=False)
    load.more()
    proxy.reload("edges: 1\n" + DEMO)
    load.more(200)
    proxy.reload("edges: 4\n" + DEMO)
    load.more(200)
    load.end()
    assert len(proxy.edges()) == 4


def test_listeners_come_and_go(start_proxy):
    proxy = start_proxy('listen: ["http://127.0.0.1:0"]\n' + DEMO)
    address = proxy.address()
    proxy.reload(f'listen: ["http://127.0.0.1:{address[1]}", "http://[::1]:0"]\n' + DEMO)
    urls = [listener["url"] for listener in proxy.status()["listeners"]]
    assert urls[0] == f"http://127.0.0.1:{address[1]}" and urls[1].startswith("http://[::1]:")
    assert proxy.get("/worker").status == 200


def test_a_route_and_a_limit_change_with_a_reload(start_proxy, serve):
    first = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"))
    second = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"))
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{first.url}'] }} }}")
    assert proxy.get().text == "first"
    proxy.reload(f"limits: {{ body: 3B }}\nservices: {{ web: {{ upstreams: ['{second.url}'] }} }}")
    assert proxy.get().text == "second"
    assert proxy.get(method="POST", body=b"four").status == 413


def test_a_roll_replaces_the_workers_one_by_one_and_loses_nothing(start_proxy):
    proxy = start_proxy(DEMO)
    before = {worker["pid"] for worker in proxy.endpoints("demo")}
    load = Load(proxy)
    load.more()
    proxy.signal(signal.SIGUSR2)
    until(lambda: before.isdisjoint(worker["pid"] for worker in proxy.endpoints("demo"))
          and all(worker["state"] == "ready" for worker in proxy.endpoints("demo")), "new workers")
    load.more()
    load.end()


@pytest.mark.parametrize("before", ["upstreams", "demo"])
def test_an_old_edge_meets_only_what_its_own_configuration_knows(start_proxy, serve, authority, before):
    first = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"))
    second = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"),
                   tls=authority.server_context("localhost"))
    old = "demo: true, workers: 1" if before == "demo" else f"upstreams: ['{first.url}']"
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ {old} }} }}")
    clients = [proxy.client() for _ in range(3)]
    for client in clients:
        assert client.exchange(request("/echo")).status == 200
    # More servers than before, so that the new one has no counterpart among the old edge's.
    proxy.reload(f"edges: 1\nservices: {{ web: {{ upstreams: [{{ url: 'http://127.0.0.1:1', weight: 0 }}, "
                 f"{{ url: '{second.url}', verify: false }}] }} }}")
    until(lambda: proxy.get("/echo").text == "second", "the new edges")
    for client in clients:
        answer = client.exchange(request("/echo"))
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert answer.json["target"] == "/echo" if before == "demo" else answer.text == "first"
        client.close()
    until(lambda: {edge["generation"] for edge in proxy.status()["edges"]} == {2}, "the end of the old edge")
    assert [message.get("proxy-peer") for message in second.requests] == [None]  # that of a new edge
    assert proxy.events("edge_exited") == []


def test_what_a_rejected_reload_had_prepared_gets_no_request(start_proxy, serve):
    first, second = serve(answering()), serve(answering())
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{first.url}'] }} }}")
    load = Load(proxy)
    load.more()
    proxy.write(f"services: {{ web: {{ upstreams: ['{second.url}'] }}, other: {{ command: [/bin/false] }} }}\n"
                "routes: [{ to: web }]\n")
    assert not proxy.command("reload")["ok"]
    load.more()
    load.end()
    assert second.requests == []


def test_the_workers_that_a_reload_replaces_end_with_the_last_edge_that_knows_them(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1 } }")
    [old] = [worker["pid"] for worker in proxy.endpoints("demo")]
    with proxy.client() as client:
        assert client.exchange(request("/worker")).json["pid"] == old
        proxy.reload("services: { demo: { demo: true, workers: 2 } }")
        until(lambda: proxy.get("/worker").json["pid"] != old, "the new edges")
        assert client.exchange(request("/worker")).json["pid"] == old
    until(lambda: not processes.is_alive(old), "the end of the old worker")
