"""Part 3: reload loses nothing, keeps the old config on any error, and touches only what changed."""

import contextlib
import json
import os
import resource
import signal
import socket
import threading

import pytest

from harness import Load, answering, request, run_proxy
from harness.processes import descendants, is_alive
from harness.wire import SECONDS, until

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


class Waiting:
    """A command on its way, whose answer a test takes when it expects it."""

    def __init__(self, proxy, line):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(SECONDS)
        self.connection.connect(proxy.control)
        self.connection.sendall(json.dumps(line).encode() + b"\n")

    def has_answer(self):
        self.connection.setblocking(False)
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(SECONDS)

    def answer(self):
        with self.connection, self.connection.makefile("rb") as file:
            return json.loads(file.read() or b"null")


class Gate:
    """An app whose import waits until it is opened."""

    def __init__(self, folder, then="def app(environ, start): start('200 OK', []); return [b'x']"):
        self.path = folder / "gate"
        (folder / "gated.py").write_text(
            f"import os, time\nwhile not os.path.exists({str(self.path)!r}): time.sleep(0.01)\n{then}\n")
        self.service = f"{{ app: 'gated:app', dir: {folder}, python: /usr/bin/python3, workers: 1 }}"

    def reached(self, proxy):
        """Waits until an interpreter of the proxy is there."""
        until(lambda: any("zygote" in process.arguments for process in descendants(proxy.pid)), "an interpreter")

    def open(self):
        self.path.write_text("")

    def close(self):
        self.path.unlink()


def listening(port):
    """How many sockets listen on a TCP port of IPv4, as the kernel lists them."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in list(file)[1:]]
    return sum(row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("fails", [True, False])
def test_no_socket_listens_before_somebody_accepts(start_proxy, folder, fails):
    gate = Gate(folder, **({"then": "raise RuntimeError('no tea')"} if fails else {}))
    proxy = start_proxy("edges: 1\n" + DEMO)
    port = proxy.address()[1]
    two = f"services: {{ demo: {{ demo: true, workers: 2 }}, web: {gate.service} }}\nroutes: [{{ to: demo }}]"
    proxy.write("edges: 4\n" + two)
    reload = Waiting(proxy, {"command": "reload"})
    gate.reached(proxy)
    assert listening(port) == 1
    gate.open()
    assert reload.answer()["ok"] is not fails
    assert listening(port) == (1 if fails else 4)
    for _ in range(40):
        assert proxy.get("/worker").status == 200


def listeners(*ports, edges=2):
    return f"edges: {edges}\nlisten: {json.dumps([f'http://127.0.0.1:{port}' for port in ports])}\n" + DEMO


def test_the_port_of_a_removed_listener_is_closed_while_old_edges_drain(start_proxy):
    stays, goes = free_port(), free_port()
    proxy = start_proxy(listeners(stays, goes))
    with proxy.client() as stream:
        stream.send(request("/events?count=60&seconds=1"))
        stream.read_head()
        proxy.reload(listeners(stays))
        assert is_refused(goes)
        proxy.reload(listeners(stays, goes))
        for _ in range(10):
            assert proxy.get("/worker", listener=1).status == 200
        proxy.reload(listeners(stays))
        assert is_refused(goes)


def test_a_request_in_the_queue_of_a_removed_listener_is_answered(start_proxy):
    stays, goes = free_port(), free_port()
    proxy = start_proxy(listeners(stays, goes, edges=1))
    edge = proxy.edges()[0]["pid"]
    os.kill(edge, signal.SIGSTOP)
    try:
        with proxy.client(listener=1) as client:
            client.send(request("/worker"))
            proxy.write(listeners(stays, edges=1))
            reload = Waiting(proxy, {"command": "reload"})
            until(lambda: proxy.status()["generation"] == 2, "the new generation")
            os.kill(edge, signal.SIGCONT)
            answer = client.response()
            assert (answer.status, answer.get("connection")) == (200, "close")
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have ended: nothing was left to do
            os.kill(edge, signal.SIGCONT)
    assert reload.answer()["ok"]
    assert is_refused(goes)


def test_a_reload_is_answered_when_old_edges_accept_no_more(start_proxy):
    proxy = start_proxy("edges: 1\n" + DEMO)
    edge = proxy.edges()[0]["pid"]
    os.kill(edge, signal.SIGSTOP)
    try:
        reload = Waiting(proxy, {"command": "reload"})
        until(lambda: [edge["state"] for edge in proxy.edges()] == ["ready"]
              and proxy.status()["generation"] == 2, "the new edge")
        assert not reload.has_answer()
    finally:
        os.kill(edge, signal.SIGCONT)
    assert reload.answer()["ok"]


def test_a_listener_moves_between_one_address_and_all_and_loses_nothing(start_proxy):
    port = free_port()
    proxy = start_proxy(listeners(port))
    load = Load(proxy, keep=False)
    load.more()
    for host in ("*", "127.0.0.1", "0.0.0.0", "127.0.0.1"):
        proxy.reload(f'listen: ["http://{host}:{port}"]\n' + DEMO)
        load.more()
    load.end()


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


def gated(folder, more=""):
    """A gate that is closed again, and a config with its app and `more` services."""
    gate = Gate(folder)
    gate.open()
    return gate, f"services: {{ web: {gate.service}{more} }}\nroutes: [{{ to: web }}]"


def test_a_roll_over_a_roll_answers_both(start_proxy, folder):
    gate, config = gated(folder)
    proxy = start_proxy(config)
    gate.close()
    first = Waiting(proxy, {"command": "reload", "apps": True})
    proxy.event("config_reloaded")
    second = Waiting(proxy, {"command": "reload", "apps": True})
    proxy.event("config_reloaded", count=2)
    assert not first.has_answer()
    gate.open()
    assert [waiting.answer()["result"]["rolled"] for waiting in (first, second)] == [["web"], ["web"]]
    proxy.event("rolled")
    assert len(proxy.events("rolled")) == 1


def test_a_roll_that_a_reload_overtakes_is_answered(start_proxy, folder):
    gate, config = gated(folder)
    proxy = start_proxy(config)
    gate.close()
    roll = Waiting(proxy, {"command": "reload", "apps": True})
    proxy.event("config_reloaded")
    proxy.reload("services: { web: { demo: true } }")
    assert roll.answer()["ok"]


def test_reloads_that_wait_for_another_are_one_and_all_are_answered(start_proxy, folder):
    gate, config = gated(folder)
    proxy = start_proxy(DEMO)
    gate.close()
    proxy.write(config)
    first = Waiting(proxy, {"command": "reload"})
    gate.reached(proxy)
    proxy.write("nonsense: 1")
    others = [Waiting(proxy, {"command": "reload"}) for _ in range(3)]
    proxy.signal(signal.SIGHUP)
    # The answer to a later command says that those before it have been read.
    assert proxy.status()["generation"] == 1
    gate.open()
    assert first.answer()["ok"]
    assert [waiting.answer()["exit"] for waiting in others] == [78, 78, 78]
    assert proxy.command("reload")["exit"] == 78
    proxy.event("config_rejected", count=2)
    assert len(proxy.events("config_rejected")) == 2


def test_a_reload_while_the_proxy_starts_is_done_when_it_has(start_proxy, folder):
    gate, config = gated(folder)
    gate.close()
    proxy = start_proxy(config, ready=False)
    gate.reached(proxy)
    proxy.signal(signal.SIGHUP)
    until(lambda: not proxy.pending(signal.SIGHUP), "the signal's arrival")
    reload = Waiting(proxy, {"command": "reload"})
    proxy.write(config.replace("to: web", "respond: { status: 200, body: new }"))
    gate.open()
    assert reload.answer()["result"]["generation"] == 2
    assert proxy.ready().get().text == "new"
    proxy.event("config_reloaded")
    assert len(proxy.events("config_reloaded")) == 1


def test_an_app_that_talks_to_the_master_while_it_is_given_up_harms_nobody(start_proxy, folder):
    (folder / "talks.py").write_text(
        "import os, socket\nmaster = socket.socket(fileno=os.dup(3))\nmaster.setblocking(True)\n"
        "while True: master.send(b'{\"event\":\"hello\"}')\n")
    proxy = start_proxy(DEMO)
    proxy.write(f"""
        services:
          web: {{ app: 'talks:app', dir: {folder}, python: /usr/bin/python3, workers: 1, timeout: {{ start: 1s }} }}
    """)
    assert proxy.command("reload")["exit"] == 1
    until(lambda: not any("zygote" in process.arguments for process in descendants(proxy.pid)), "its end")
    assert proxy.status()["generation"] == 1
    assert proxy.get("/worker").status == 200


def test_a_service_that_comes_back_while_old_edges_drain_keeps_its_sockets(start_proxy):
    both = "edges: 1\nservices: { one: { demo: true, workers: 1 }, two: { demo: true, workers: 1 } }\n" \
        "routes: [{ path: /two/, strip: /two, to: two }, { to: one }]"
    proxy = start_proxy(both)
    old = proxy.endpoints("two")[0]["pid"]
    with proxy.client() as stream:
        stream.send(request("/events?count=60&seconds=1"))
        stream.read_head()
        proxy.reload("edges: 1\nservices: { one: { demo: true, workers: 1 } }\nroutes: [{ to: one }]")
        proxy.reload(both)
    until(lambda: not os.path.exists(f"/proc/{old}"), "the end of the old worker")
    # The answer to a command says that the master is done with what came before.
    proxy.status()
    assert len(list(proxy.folder.glob("run/workers/*.sock"))) == 2
    assert proxy.get("/two/worker").status == 200
    assert proxy.endpoints("two")[0]["restarts"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's edges have a user of their own")
def test_another_user_is_refused_by_a_reload(start_proxy):
    proxy = start_proxy(DEMO)
    proxy.write("user: daemon\n" + DEMO)
    answer = proxy.command("reload")
    assert answer["exit"] == 78 and "restart" in answer["error"]
    for _ in range(4):
        assert proxy.get("/worker").status == 200


def test_new_edges_wait_for_every_name_of_their_upstreams(start_proxy, serve):
    server = serve()
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['http://localhost:{server.port}'] }} }}")
    resolver, = [process.pid for process in descendants(proxy.pid) if "resolve" in process.arguments]
    os.kill(resolver, signal.SIGSTOP)
    try:
        proxy.write(f"""
            services:
              one: {{ upstreams: ['{server.url}'] }}
              two: {{ upstreams: ['http://other.localhost:{server.port}'] }}
            routes: [{{ to: one }}]
        """)
        reload = Waiting(proxy, {"command": "reload"})
        assert {edge["generation"] for edge in proxy.status()["edges"]} == {1}
    finally:
        os.kill(resolver, signal.SIGCONT)
    assert reload.answer()["ok"]
    assert proxy.get().text == "ok"


def test_new_edges_wait_for_their_plugins(start_proxy, serve):
    servers = serve(), serve()
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{servers[0].url}'] }} }}")
    proxy.write(f"services: {{ web: {{ upstreams: ['{servers[1].url}'] }} }}\n"
                "plugins: [{ name: asleep, command: [sleep, '1000'] }]")
    reload = Waiting(proxy, {"command": "reload"})
    status = proxy.status()
    # Plug-ins that listen are those that say how they are.
    assert status["plugins"] or {edge["generation"] for edge in status["edges"]} == {1}
    assert reload.answer()["ok"]


def test_a_default_that_open_files_limit_needs_no_restart(start_proxy):
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    large = "services: { web: { upstreams: ['http://127.0.0.1:9'], pool: { size: 1000, max_overflow: 1000 } } }"
    proxy = start_proxy(large, preexec=few_files)
    proxy.reload(DEMO)
    proxy.event("config_reloaded")
    assert proxy.events("restart_needed") == []


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
    until(lambda: not is_alive(old), "the end of the old worker")
