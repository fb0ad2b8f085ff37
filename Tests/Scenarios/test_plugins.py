"""Part 9 and contract section 6: signals reach plug-ins, exactly once each, and a plug-in changes no response."""

import collections
import json
import pytest

from harness import Load, closing_at_once, processes, request, silent
from harness.wire import until

DEMO = "services: { demo: { demo: true, workers: 2 } }\n"
ENVELOPE = ["v", "event", "seq", "time", "id", "sender", "data"]


class Tap:
    """A plug-in that writes every line it is told into a file."""

    def __init__(self, folder, name="tap", **keys):
        self.path = folder / f"{name}.jsonl"
        self.path.touch()
        self.path.chmod(0o666)
        extra = "".join(f", {key}: {value}" for key, value in keys.items())
        self.line = f'{{ name: {name}, command: [sh, -c, "exec cat >> {self.path}"]{extra} }}'

    def lines(self, event=None, **data):
        whole = self.path.read_text().rpartition("\n")[0]
        found = [json.loads(line) for line in whole.split("\n") if line]
        return [line for line in found if event in (None, line["event"])
                and all(line["data"].get(key) == value for key, value in data.items())]

    def wait(self, event, count=1, **data):
        return until(lambda: len(found := self.lines(event, **data)) >= count and found, f"{count} {event} {data}")


def test_a_request_is_told_from_start_to_end(start_proxy, folder):
    tap = Tap(folder)
    proxy = start_proxy(DEMO + f"plugins: [{tap.line}]")
    with proxy.client() as client:
        answer = client.exchange(request("/worker?a=b", user_agent="scenario"))
    finished = tap.wait("request_finished")[0]
    first = tap.lines()[0]
    assert first == {"v": 1, "event": "plugin_started", "seq": 0, "data": {"name": "tap", "dropped": 0, "restarts": 0}}
    assert list(finished) == ENVELOPE
    assert finished["id"] == answer.get("x-request-id") and finished["sender"] == "demo"
    started = tap.lines("request_started")[0]
    assert started["id"] == finished["id"]
    assert (started["data"]["method"], started["data"]["target"], started["data"]["host"]) == ("GET", "/worker?a=b", "example.test")
    log = proxy.access(1)[0]
    # One vocabulary: what the log says, the signal says.
    for key in ("status", "request_bytes", "response_bytes", "duration", "queue", "connect", "first_byte", "retries", "outcome"):
        assert finished["data"][key] == log[key], key
    order = [line["event"] for line in tap.lines() if line.get("id") == finished["id"]]
    assert order[:2] == ["request_started", "request_finished"]
    tap.wait("request_tearing_down")


def test_seq_counts_without_gaps(start_proxy, folder):
    tap = Tap(folder)
    proxy = start_proxy(DEMO + f"plugins: [{tap.line}]")
    load = Load(proxy, clients=2)
    load.more(100)
    load.end()
    tap.wait("request_finished", 100)
    assert proxy.stop() == 0
    numbers = [line["seq"] for line in tap.lines()]
    assert numbers == list(range(len(numbers)))


def test_every_started_request_is_finished_exactly_once_however_it_ends(start_proxy, serve, folder):
    tap = Tap(folder, events="[request_started, request_finished]")
    gone, mute, cut = serve(closing_at_once), serve(silent), serve(
        lambda stream, server: (stream.read_request(), stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")))
    proxy = start_proxy(f"""
        edges: 2
        services:
          demo: {{ demo: true, workers: 2 }}
          gone: {{ upstreams: ["{gone.url}"] }}
          mute: {{ upstreams: ["{mute.url}"], timeout: {{ first_byte: 200ms }} }}
          cut: {{ upstreams: ["{cut.url}"] }}
        routes:
          - {{ path: /gone/, to: gone }}
          - {{ path: /mute/, to: mute }}
          - {{ path: /cut/, to: cut }}
          - {{ path: /fixed/, respond: {{ status: 200, body: fixed }} }}
          - {{ path: /demo/, strip: /demo, to: demo }}
        plugins: [{tap.line}]
    """)
    for target in ("/gone/", "/mute/", "/cut/", "/fixed/", "/nothing", "/demo/worker", "/demo/exception", "/demo/kill"):
        proxy.get(target)
    until(lambda: all(worker["state"] == "ready" for worker in proxy.endpoints("demo")), "the worker again")
    # A client that goes away, and one that is in an edge's hands when the edge is killed.
    client = proxy.client()
    client.send(request("/demo/sleep?seconds=0.5"))
    until(lambda: any(worker["in_flight"] for worker in proxy.endpoints("demo")), "a busy worker")
    client.reset()
    with proxy.client() as client:
        client.send(request("/demo/sleep?seconds=0.7"))
        until(lambda: tap.lines("request_started", target="/demo/sleep?seconds=0.7"), "its start")
        for edge in proxy.edges():
            proxy.kill(edge["pid"])
        client.read_to_end()
    # Refused heads raise neither.
    until(lambda: len([edge for edge in proxy.edges() if edge["state"] == "ready"]) == 2, "two edges")
    with proxy.client() as client:
        assert client.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status == 400
    assert proxy.get("/demo/worker").status == 200
    tap.wait("request_finished", len(tap.lines("request_started")))
    assert proxy.stop() == 0
    started = collections.Counter(line["id"] for line in tap.lines("request_started"))
    finished = collections.Counter(line["id"] for line in tap.lines("request_finished"))
    assert started == finished
    assert set(started.values()) == {1} and len(started) >= 11
    outcomes = {line["data"]["outcome"] for line in tap.lines("request_finished")}
    assert {"ok", "upstream_failed", "timeout", "worker_died", "proxy_error"} <= outcomes


def test_a_request_without_a_route_has_no_sender(start_proxy, folder):
    tap = Tap(folder)
    proxy = start_proxy(f"""
        services: {{ demo: {{ demo: true, workers: 1 }} }}
        routes: [{{ path: /demo/, to: demo }}]
        plugins: [{tap.line}]
    """)
    assert proxy.get("/nothing").status == 404
    finished = tap.wait("request_finished")[0]
    assert (finished["sender"], finished["data"]["status"]) == ("-", 404)


def test_an_exception_of_the_app_names_its_type(start_proxy, folder):
    tap = Tap(folder, events="[request_exception]")
    proxy = start_proxy(DEMO + f"plugins: [{tap.line}]")
    proxy.get("/exception")
    told = tap.wait("request_exception")[0]
    assert (told["data"]["origin"], told["data"]["type"]) == ("app", "DemoError")


def test_workers_connections_and_configs_are_told(start_proxy, folder):
    tap = Tap(folder)
    proxy = start_proxy(DEMO + f"plugins: [{tap.line}]")
    proxy.get("/worker")
    tap.wait("connection_opened")
    tap.wait("connection_closed")
    proxy.kill(proxy.endpoints("demo")[0]["pid"])
    exited = tap.wait("worker_exited")[0]
    assert exited["sender"] == "demo"
    tap.wait("worker_started")
    tap.wait("worker_ready")
    proxy.reload()
    tap.wait("config_reloaded")
    proxy.write("services: {}")
    proxy.command("reload")
    tap.wait("config_rejected")


def test_handshakes_and_upstreams_are_told(start_proxy, serve, authority, folder):
    certificate, key = authority.certificate("localhost")
    tap, bad = Tap(folder), serve(closing_at_once)
    good = serve()
    proxy = start_proxy(f"""
        listen: ["https://127.0.0.1:0"]
        tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}] }}
        services:
          web:
            upstreams: ["{bad.url}", "{good.url}"]
            health: {{ passive: {{ failures: 2, window: 10s, pause: 60s }} }}
        plugins: [{tap.line}]
    """)
    for _ in range(6):
        with proxy.client(tls=authority.client_context()) as client:
            client.exchange(request())
    finished = tap.wait("tls_handshake_finished", 6)[0]["data"]
    assert (finished["sni"], finished["resumed"]) == ("localhost", False)
    with proxy.client() as client:
        client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        client.read_to_end()
    tap.wait("tls_handshake_failed")
    down = tap.wait("upstream_down")[0]
    assert down["sender"] == "web" and down["data"]["endpoint"] == f"127.0.0.1:{bad.port}"


def test_events_and_filter_choose(start_proxy, folder):
    tap = Tap(folder, events="[request_finished]", filter='"status >= 400"')
    proxy = start_proxy(DEMO + f"plugins: [{tap.line}]")
    for code in (200, 404, 302, 500):
        proxy.get(f"/status/{code}")
    tap.wait("request_finished", 2)
    assert proxy.stop() == 0
    # In order per edge, and each request may have gone to another.
    assert sorted(line["data"]["status"] for line in tap.lines() if line["seq"]) == [404, 500]


PLUGINS = {
    "asleep": "[sleep, '1000']",
    "crashing": "[sh, -c, 'exit 3']",
    "killed by a line": "[sh, -c, 'read line; kill -9 $$']",
    "deaf": "[sh, -c, 'exec 0<&-; sleep 1000']",
    "not there": "[/nonexistent/plugin]",
    "loud": "[sh, -c, 'while read line; do echo \"$line\"; echo \"$line\" >&2; done']",
}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_changes_no_response(start_proxy, folder, name):
    tap = Tap(folder, events="[request_finished]")
    proxy = start_proxy(DEMO + f"plugins: [{{ name: bad, command: {PLUGINS[name]}, queue: {{ length: 10, full: newest }} }}, {tap.line}]")
    load = Load(proxy, clients=3)
    load.more(300)
    count = load.end()
    # Nor what the others are told.
    tap.wait("request_finished", count)


def test_what_a_sleeping_plugin_misses_is_counted(start_proxy):
    proxy = start_proxy(DEMO + "plugins: [{ name: asleep, command: [sleep, '1000'], queue: { length: 10, full: newest } }]")
    load = Load(proxy, clients=2)
    load.more(500)
    load.end()
    until(lambda: proxy.status()["plugins"][0]["dropped"] > 0, "a count of what was dropped")
    proxy.event("plugin_dropped")


def test_what_was_dropped_stays_counted_when_the_host_is_killed(start_proxy, folder):
    path = folder / "seen"
    path.touch()
    path.chmod(0o666)
    proxy = start_proxy(DEMO + f"""plugins: [
        {{ name: asleep, command: [sh, -c, "read line; echo $line >> {path}; exec sleep 1000"], queue: {{ length: 10, full: newest }} }}]""")
    load = Load(proxy, clients=2)
    load.more(500)
    load.end()

    def running():
        plugin = proxy.status()["plugins"][0]
        return plugin if plugin["state"] == "running" else None
    before = until(lambda: (plugin := running()) and plugin["dropped"] and plugin, "a count of what was dropped")
    proxy.kill(processes.all_processes()[before["pid"]].parent)
    after = until(lambda: (plugin := running()) and plugin["pid"] != before["pid"] and plugin, "a new host")
    assert after["dropped"] >= before["dropped"]
    until(lambda: len(path.read_text().splitlines()) == 2, "its second start")
    starts = [json.loads(line)["data"] for line in path.read_text().splitlines()]
    assert [start["restarts"] for start in starts] == [0, 1]
    assert starts[0]["dropped"] == 0 and starts[1]["dropped"] >= before["dropped"]


def test_a_plugin_that_ends_is_started_again_and_told_what_it_missed(start_proxy, folder):
    path = folder / "seen"
    path.touch()
    path.chmod(0o666)
    proxy = start_proxy(DEMO + f"""plugins: [{{ name: short, command: [sh, -c, "read line; echo $line >> {path}; exit 1"] }}]""")
    until(lambda: len(path.read_text().splitlines()) >= 3, "three starts")
    starts = [json.loads(line) for line in path.read_text().splitlines()[:3]]
    assert [line["seq"] for line in starts] == [0, 0, 0]
    assert [line["data"]["restarts"] for line in starts] == [0, 1, 2]
    status = proxy.status()["plugins"][0]
    assert status["name"] == "short" and status["failures"] >= 2


def test_what_a_plugin_prints_is_in_the_error_log(start_proxy):
    proxy = start_proxy(DEMO + "plugins: [{ name: chatty, command: [sh, -c, 'echo hello $PROXY_PLUGIN; exec cat > /dev/null'] }]")
    until(lambda: "hello chatty" in proxy.errors, "its line")
    assert any("chatty" in json.dumps(record) for record in proxy.events() if "hello chatty" in json.dumps(record))


def test_a_plugin_is_told_the_end_and_given_time(start_proxy, folder):
    done = folder / "done"
    done.touch()
    done.chmod(0o666)
    proxy = start_proxy(DEMO + f"""plugins: [{{ name: last, command: [sh, -c, "cat > /dev/null; echo end >> {done}"] }}]""")
    proxy.get("/worker")
    assert proxy.stop() == 0
    assert done.read_text() == "end\n"


def test_a_plugin_that_will_not_end_is_ended(start_proxy):
    proxy = start_proxy(DEMO + "plugins: [{ name: stubborn, command: [sh, -c, 'trap \"\" TERM; while :; do sleep 0.1; done'] }]")
    proxy.get("/worker")
    assert proxy.stop() == 0


def test_a_plugin_is_there_before_the_first_request(start_proxy, folder):
    tap = Tap(folder)
    proxy = start_proxy(DEMO + f"plugins: [{tap.line}]")
    proxy.get("/worker")
    tap.wait("request_finished")
    events = [line["event"] for line in tap.lines()]
    assert events[0] == "plugin_started" and "request_started" in events


def test_reload_adds_and_takes_away_plugins(start_proxy, folder):
    tap = Tap(folder)
    proxy = start_proxy(DEMO)
    proxy.reload(DEMO + f"plugins: [{tap.line}]")
    proxy.get("/worker")
    tap.wait("request_finished")
    proxy.reload(DEMO)
    until(lambda: proxy.status()["plugins"] == [], "its end")


def test_why_a_connection_ended_and_what_it_had_received(start_proxy, folder):
    tap = Tap(folder, events="[connection_closed]")
    proxy = start_proxy(f"""
        edges: 1
        timeout: {{ idle: 200ms, header: 200ms }}
        limits: {{ body: 1KiB }}
        services: {{ demo: {{ demo: true, workers: 1 }} }}
        plugins: [{tap.line}]
    """)

    def end(data, then=lambda client: client.read_to_end()):
        before = len(tap.lines("connection_closed"))
        with proxy.client() as client:
            client.send(data)
            then(client)
        tap.wait("connection_closed", before + 1)
        return tap.lines("connection_closed")[before]["data"]
    assert end(request("/worker"), lambda client: client.response())["reason"] == "client"
    assert end(request("/worker", connection="close"))["reason"] == "finished"
    assert end(request("/worker"))["reason"] == "idle"
    assert end(b"GET / HTTP/1.1\r\n")["reason"] == "timeout"
    assert end(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")["reason"] == "refused"
    head = request("/echo", "POST", content_length=50_000)
    refused = end(head + b"x" * 50_000)
    assert (refused["reason"], refused["received_bytes"]) == ("refused", len(head) + 50_000)
