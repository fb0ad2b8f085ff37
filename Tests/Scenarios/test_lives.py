"""Lives of processes: who is started again and how soon, who is told to end, and what is said of it."""

import contextlib
import os
import resource
import signal
import sys

import pytest

from harness import Load, processes, request
from harness.wire import until

DEMO = "services: { demo: { demo: true, workers: 2 } }"


def slow(proxy, seconds, client):
    """Sends a request that takes a worker's time, and gives the worker."""
    client.send(request(f"/sleep?seconds={seconds}"))
    return until(lambda: next((each for each in proxy.endpoints("demo") if each["in_flight"]), None), "a busy worker")


# Workers that requests end

def test_requests_wait_while_every_worker_is_ended_by_requests(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1 } }")
    for _ in range(8):
        with proxy.client() as client:
            # Never sent twice.
            assert client.exchange(request("/exit?code=3", "POST", body=b"x")).status == 502
        assert proxy.get("/worker").status == 200
    loop = proxy.events("worker_crash_loop")
    assert [(line["level"], line["service"], line["worker"], line["ended"]) for line in loop] == [
        ("error", "demo", 1, 3), ("error", "demo", 1, 6)]
    assert "next_start_seconds" in loop[0] and loop[0]["error"] == "worker demo/1: exit 3"


def test_slow_requests_do_not_take_a_service_away(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1, timeout: { request: 200ms } } }")
    for _ in range(5):
        assert proxy.get("/sleep?seconds=60").status == 504
        assert proxy.get("/worker").status == 200
    assert proxy.endpoints("demo")[0]["restarts"] == 5


def test_a_poisoned_url_costs_others_nothing(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 4 } }")
    load = Load(proxy, clients=2, keep=False)
    for _ in range(24):
        proxy.get("/exit?code=3")
        load.more(2)
    load.stop()
    # Whoever meets two workers that have just died is told so; nobody is told that there are none.
    assert [each for each in load.lost if "destination_unavailable" in str(each)] == []
    assert load.answered > 50


def test_workers_that_cannot_start_are_tried_ever_later_and_it_is_said(start_proxy):
    proxy = start_proxy("""
        services: { bad: { command: [/bin/sh, -c, "exit 7", "{socket}"], workers: 1 } }
    """, ready=False)
    first = proxy.event("worker_crash_loop", ended=3)
    second = proxy.event("worker_crash_loop", ended=6)
    assert (first["next_start_seconds"], second["next_start_seconds"]) == (0.2, 1.6)
    assert first["ready_workers"] == 0 and first["error"] == "worker bad/1: exit 7"
    proxy.ready()
    assert proxy.get("/").error in ("destination_unavailable", "connection_limit_reached")


# Descriptors of the master

@pytest.mark.parametrize("kind", ["command", "demo"])
def test_no_life_of_a_worker_leaves_descriptors_with_the_master(start_proxy, folder, kind):
    program = folder / "program.py"
    program.write_text(PROGRAM)
    kinds = {"demo": "demo: true", "command": f"command: [/usr/bin/python3, {program}, '{{socket}}']"}
    proxy = start_proxy(f"services: {{ demo: {{ {kinds[kind]}, workers: 1 }} }}")

    def settled():
        worker = proxy.endpoints("demo")[0]
        return worker["pid"] if worker["state"] == "ready" else None

    def replaced():
        old = until(settled, "a ready worker")
        proxy.kill(old)
        until(lambda: settled() not in (None, old), "its successor")
        return proxy
    before = len(processes.descriptors(replaced().pid))
    for _ in range(5):
        replaced()
    # The command that asks for the status has a connection, or has just closed it.
    until(lambda: len(processes.descriptors(proxy.pid)) <= before, f"{before} descriptors as before")


PROGRAM = '''
import socketserver, sys
from http.server import BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def address_string(self):
        return "-"
    def log_message(self, *_):
        pass
socketserver.UnixStreamServer(sys.argv[1], Handler).serve_forever()
'''


# Signals that are the master's

STEERING = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", STEERING)
def test_a_signal_to_every_child_loses_no_request(start_proxy, number):
    proxy = start_proxy("""
        services: { demo: { demo: true, workers: 2, retry: { attempts: 3, budget: 1.0 } } }
        plugins: [{ name: tap, command: [/bin/cat] }]
    """)
    load = Load(proxy, clients=3)
    load.more()
    edges = [edge["pid"] for edge in proxy.edges()]
    ours = [each.pid for each in processes.descendants(proxy.pid) if "--role" in each.arguments]
    assert len(ours) >= 5
    for pid in ours:
        os.kill(pid, number)
    load.more().end()
    assert [edge["pid"] for edge in proxy.edges()] == edges
    assert proxy.events("plugin_host_exited") == [] and proxy.events("edge_exited") == []


def test_term_to_every_process_at_once_is_a_drain(start_proxy, folder):
    # systemd's KillMode=control-group.
    (folder / "waiting.py").write_text(WAITING.format(folder=folder))
    user = "user: root\n" if not os.getuid() else ""
    proxy = start_proxy(user + f"""
services:
  web: {{ app: 'waiting:app', dir: {folder}, python: {sys.prefix}, workers: 1 }}
""")
    clients = [proxy.client() for _ in range(4)]
    for client in clients:
        client.send(request("/"))
    until(lambda: (folder / "begun").exists(), "a request at work")
    until(lambda: proxy.status()["services"]["web"]["queue"]["waiting"] == 3, "three that wait")
    for each in [proxy.pid] + [each.pid for each in processes.descendants(proxy.pid)]:
        # What nobody needs for the drain may have ended by then.
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGTERM)
    proxy.event("stopping")
    (folder / "go").touch()
    assert [client.response().text for client in clients] == ["done"] * 4
    for client in clients:
        client.close()
    assert proxy.finished() == 0


WAITING = '''
import os, time
def app(environ, start_response):
    open("{folder}/begun", "w").close()
    while not os.path.exists("{folder}/go"):
        time.sleep(0.01)
    start_response("200 OK", [])
    return [b"done"]
'''


def test_a_limit_on_file_sizes_costs_log_lines_and_no_process(start_proxy, folder):
    # Beyond what shared memory needs, which the limit is about as well.
    size = 1 << 30
    log = folder / "errors.json"
    with open(log, "w") as file:
        file.truncate(size - 2000)
    proxy = start_proxy(DEMO + f"\nlogs: {{ error: {{ path: {log}, level: debug }} }}", preexec=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (size, size)))
    for generation in range(2, 22):
        assert proxy.reload()["generation"] == generation
    assert log.stat().st_size > size - 1000
    assert proxy.get("/worker").status == 200


# The end of edges

def requested(proxy, serve_held):
    client = proxy.client()
    client.send(request("/held"))
    until(lambda: serve_held.requests, "the request")
    return client


def test_what_a_drain_cuts_is_in_the_access_log(start_proxy, serve):
    server = serve(lambda stream, server: (server.note(stream.read_request()), server.stopping.wait(60)))
    proxy = start_proxy(f"timeout: {{ drain: 200ms }}\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with requested(proxy, server) as client:
        assert proxy.stop() == 0
        answer = client.response()
    assert (answer.status, answer.error, answer.get("connection")) == (504, "http_response_timeout", "close")
    line, = proxy.access_lines()
    assert (line["target"], line["status"], line["outcome"]) == ("/held", 504, "timeout")
    assert proxy.events("edge_exited") == []


def test_what_a_second_term_cuts_is_in_the_access_log(start_proxy, serve):
    server = serve(lambda stream, server: (server.note(stream.read_request()), server.stopping.wait(60)))
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with requested(proxy, server):
        proxy.signal(signal.SIGTERM)
        proxy.event("stopping")
        proxy.signal(signal.SIGTERM)
        assert proxy.finished() == 0
    line, = proxy.access_lines()
    assert (line["target"], line["status"], line["outcome"]) == ("/held", 504, "timeout")


def test_an_edge_that_hears_nothing_is_killed_at_the_end(start_proxy):
    proxy = start_proxy("timeout: { drain: 200ms }\n" + DEMO)
    os.kill(proxy.edges()[0]["pid"], signal.SIGSTOP)
    assert proxy.stop() == 0


def test_edges_are_named_and_end_with_the_master_even_when_stopped(start_proxy):
    proxy = start_proxy(DEMO)
    below = processes.descendants(proxy.pid)
    edges = {edge["edge"]: edge["pid"] for edge in proxy.edges()}
    for number, pid in edges.items():
        with open(f"/proc/{pid}/comm") as file:
            assert file.read() == f"proxy: edge {number}\n"
    os.kill(edges[0], signal.SIGSTOP)
    proxy.kill(proxy.pid)
    proxy.wait()
    until(lambda: not any(processes.is_alive(process.pid) for process in below), "the end of its children", seconds=5)
    for path in proxy.folder.rglob("*.sock"):
        path.unlink()


def test_what_an_edge_said_last_is_heard(start_proxy):
    proxy = start_proxy("edges: 1\nservices: { demo: { demo: true, workers: 2, timeout: { request: 1s } } }")
    with proxy.client() as client:
        stuck = slow(proxy, 60, client)["pid"]
        other = next(each["pid"] for each in proxy.endpoints("demo") if each["pid"] != stuck)
        edge = proxy.edges()[0]["pid"]
        # The master learns of three things at once: a worker's end, the edge's wish, the edge's end.
        os.kill(proxy.pid, signal.SIGSTOP)
        proxy.kill(other)
        assert client.response().status == 504
        proxy.kill(edge)
        os.kill(proxy.pid, signal.SIGCONT)
    until(lambda: not processes.is_alive(stuck), "the end of the worker that was stuck")
    assert proxy.get("/worker").status == 200


# Guards

def test_a_stuck_guard_does_not_hold_the_end_up(start_proxy, folder):
    program = folder / "program.py"
    program.write_text(PROGRAM)
    proxy = start_proxy(f"""
        services: {{ demo: {{ command: [/usr/bin/python3, {program}, "{{socket}}"], workers: 1, timeout: {{ drain: 200ms }} }} }}
    """)
    below = processes.descendants(proxy.pid)
    guard = next(each for each in below if "--role guard" in each.arguments)
    os.kill(guard.pid, signal.SIGSTOP)
    assert proxy.stop() == 0
    until(lambda: not any(processes.is_alive(process.pid) for process in below), "the end of the program", seconds=5)


# What a reload changes

def test_a_reload_changes_the_size_of_an_upstreams_pool(start_proxy, serve):
    server = serve()

    def config(size, edges):
        return f"edges: {edges}\nservices: {{ web: {{ upstreams: ['{server.url}'], pool: {{ size: {size}, max_overflow: 0 }} }} }}"
    proxy = start_proxy(config(2, 1))
    capacities = []
    for size, edges in [(2, 1), (20, 1), (20, 2)]:
        proxy.reload(config(size, edges))
        assert proxy.get("/").text == "ok"
        capacities.append([each["capacity"] for each in proxy.endpoints("web") if each["state"] == "ready"])
    assert capacities == [[2], [20], [40]]
