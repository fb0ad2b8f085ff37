"""Part 3 and contract section 1: start, ready, signals, stop, exit codes."""

import fcntl
import os
import pty
import re
import signal
import socket
import termios
import threading

import pytest

from harness import Client, leaks, processes, request, run_proxy
from harness.wire import until

DEMO = "services: { demo: { demo: true, workers: 2 } }"


def test_ready_is_one_line_that_tells_where(start_proxy):
    proxy = start_proxy('listen: ["http://127.0.0.1:0", "http://[::1]:0"]\n' + DEMO)
    ready = proxy.events("ready")
    assert len(ready) == 1
    line = ready[0]
    assert list(line)[:3] == ["time", "level", "event"]
    assert (line["level"], line["pid"]) == ("info", proxy.pid)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert isinstance(line["seconds"], float)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", line["listen"][0])
    assert re.fullmatch(r"http://\[::1\]:\d+", line["listen"][1])
    for listener in (0, 1):
        assert proxy.get("/worker", listener).status == 200


def test_it_tells_its_service_manager(start_proxy, folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        os.chmod(f"{folder}/notify", 0o666)
        manager.settimeout(10)
        start_proxy(DEMO, environment={"NOTIFY_SOCKET": f"{folder}/notify"})
        assert b"READY=1" in manager.recv(4096)


def test_requests_wait_until_a_worker_is_ready(start_proxy, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = folder / "late.py"
    program.write_text(LATE)
    proxy = start_proxy(f"""
        listen: ["http://127.0.0.1:{port}"]
        services:
          late: {{ command: [/usr/bin/python3, {program}, "{{socket}}", {folder}/go], workers: 1 }}
    """, ready=False)

    def connected():
        try:
            return Client(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None
    client = until(connected, "a listener before the first worker")
    client.send(request())
    assert proxy.events("ready") == []
    (folder / "go").touch()
    assert client.response().text == "late"
    client.close()
    proxy.ready()


LATE = '''
import os, socketserver, sys, time
from http.server import BaseHTTPRequestHandler
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"late")
    def address_string(self):
        return "-"
    def log_message(self, *_):
        pass
socketserver.UnixStreamServer.request_queue_size = 64
socketserver.UnixStreamServer(sys.argv[1], Handler).serve_forever()
'''


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_drains_and_stops(start_proxy, serve, number):
    release = threading.Event()

    def script(stream, server):
        server.note(stream.read_request())
        release.wait(30)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = serve(script)
    # One edge: that the idle connection ended says that the busy one's edge drains.
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as busy, proxy.client() as idle:
        busy.send(request("/held"))
        until(lambda: server.requests, "the request")
        proxy.signal(number)
        assert idle.ended()
        release.set()
        answer = busy.response()
        assert (answer.text, answer.get("connection")) == ("ok", "close")
        assert busy.ended()
    assert proxy.finished() == 0


def test_a_second_signal_stops_at_once(start_proxy, serve):
    server = serve(lambda stream, server: (server.note(stream.read_request()), server.stopping.wait(60)))
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as busy:
        busy.send(request("/held"))
        until(lambda: server.requests, "the request")
        proxy.signal(signal.SIGTERM)
        until(lambda: proxy.status()["edges"][0]["state"] != "ready" if os.path.exists(proxy.control) else True, "draining")
        proxy.signal(signal.SIGTERM)
        proxy.finished()
        busy.read_to_end()


def test_new_clients_are_refused_while_a_stop_drains(start_proxy, serve):
    release = threading.Event()

    def script(stream, server):
        server.note(stream.read_request())
        release.wait(60)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = serve(script)
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as busy:
        busy.send(request("/held"))
        until(lambda: server.requests, "the request")
        proxy.signal(signal.SIGTERM)

        def is_refused():
            try:
                proxy.client().close()
            except ConnectionRefusedError:
                return True
            return False
        until(is_refused, "the end of listening")
        release.set()
        assert busy.response().text == "ok"
    assert proxy.finished() == 0


def test_drain_ends_what_takes_longer(start_proxy, serve):
    server = serve(lambda stream, server: (server.note(stream.read_request()), server.stopping.wait(60)))
    proxy = start_proxy(f"timeout: {{ drain: 200ms }}\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as busy:
        busy.send(request("/held"))
        until(lambda: server.requests, "the request")
        assert proxy.stop() == 0
        busy.read_to_end()


def test_when_the_master_dies_its_children_end(start_proxy):
    proxy = start_proxy(DEMO)
    below = processes.descendants(proxy.pid)
    assert len(below) >= 4
    proxy.kill(proxy.pid)
    proxy.wait()
    until(lambda: not any(processes.is_alive(process.pid) for process in below), "the end of its children", seconds=5)
    for path in proxy.folder.rglob("*.sock"):
        path.unlink()


def test_it_starts_again_over_the_sockets_of_one_that_was_killed(start_proxy):
    proxy = start_proxy(DEMO)
    below = processes.descendants(proxy.pid)
    proxy.kill(proxy.pid)
    proxy.wait()
    until(lambda: not any(processes.is_alive(process.pid) for process in below), "the end of its children", seconds=5)
    again = start_proxy(f"directories: {{ runtime: {proxy.folder}/run, state: {proxy.folder}/state, spool: {proxy.folder}/spool }}\n" + DEMO)
    assert again.get("/worker").status == 200


def test_a_taken_port_names_its_owner(start_proxy, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        proxy = start_proxy(f'listen: ["http://127.0.0.1:{port}"]\n' + DEMO, ready=False)
        assert proxy.finished() == 69
        assert re.search(rf"127\.0\.0\.1:{port} is taken by \S+ \(pid {os.getpid()}\)", proxy.errors)


def test_a_second_instance_is_refused_and_the_first_unharmed(start_proxy):
    first = start_proxy(DEMO)
    second = start_proxy(
        f"directories: {{ runtime: {first.folder}/run, state: {first.folder}/state, spool: {first.folder}/spool }}\n" + DEMO,
        ready=False)
    assert second.finished() == 69
    assert f"another proxy (pid {first.pid}) answers on {first.control}; stop it or set admin.socket" in second.errors
    assert first.get("/worker").status == 200
    assert first.status()["pid"] == first.pid


def test_root_gives_its_children_to_nobody_and_others_keep_themselves(start_proxy):
    proxy = start_proxy(DEMO)
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    assert [processes.user_of(edge["pid"]) for edge in proxy.edges()] == [nobody, nobody]
    assert {processes.user_of(worker["pid"]) for worker in proxy.endpoints("demo")} == {nobody}


@pytest.mark.parametrize("has_terminal", [True, False])
def test_children_have_no_terminal_to_type_on_and_share_a_session_where_there_is_none(start_proxy, has_terminal):
    ours, theirs = pty.openpty()

    def part():
        os.setsid()
        if has_terminal:
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    proxy = start_proxy(DEMO, preexec=part)
    session, terminal = processes.session_of(proxy.pid)
    assert session == proxy.pid and (terminal != 0) == has_terminal
    children = [processes.session_of(child.pid) for child in processes.descendants(proxy.pid)]
    assert len(children) >= 4 and {terminal for _, terminal in children} == {0}
    assert all((session == proxy.pid) != has_terminal for session, _ in children)
    assert proxy.stop() == 0
    os.close(ours)
    os.close(theirs)


def test_a_start_that_fails_leaves_nobody_behind(start_proxy, folder):
    (folder / "slow.py").write_text(f"open('{folder}/importing', 'w').close()\nimport time\ntime.sleep(1000)\n")
    (folder / "broken.py").write_text(
        f"import os, time\nwhile not os.path.exists('{folder}/go'):\n    time.sleep(0.01)\nraise RuntimeError('broken')\n")
    folder.chmod(0o777)
    proxy = start_proxy(f"""
        logs: {{ error: {{ level: debug }} }}
        services:
          demo: {{ demo: true, workers: 2 }}
          tool: {{ command: [sh, -c, "sleep 1000 & sleep 1000; exit"], workers: 1 }}
          slow: {{ app: "slow:app", dir: {folder}, python: /usr/bin/python3 }}
          broken: {{ app: "broken:app", dir: {folder}, python: /usr/bin/python3 }}
        routes: [{{ to: demo }}]
        plugins: [{{ name: tap, command: [sleep, "1000"] }}]
    """, ready=False)
    until(lambda: (folder / "importing").exists(), "the other app's import")
    until(lambda: len([each for each in processes.descendants(proxy.pid) if each.arguments == "sleep 1000"]) == 3, "all of them")
    (folder / "go").touch()
    assert proxy.wait() == 1
    assert leaks.left_behind() == []
    proxy.finished()
    assert "RuntimeError: broken" in proxy.errors
    # It saw them end, and does not call that an error.
    assert [event["level"] for event in proxy.events("edge_exited")] == ["debug"] * 2


@pytest.mark.parametrize("arguments, code", [
    (["--frobnicate"], 2),
    (["frobnicate"], 2),
    (["--conf"], 2),
    (["--conf", "/nonexistent/proxy.yaml"], 78),
    (["--help"], 0),
    (["--version"], 0),
])
def test_exit_codes_of_the_command_line(folder, arguments, code):
    assert run_proxy(*arguments, folder=folder).returncode == code


@pytest.mark.parametrize("command", ["reload", "stop", "status"])
def test_nobody_answers(folder, command):
    done = run_proxy(command, "--socket", folder / "admin.sock")
    assert done.returncode == 69
    assert f"no proxy answers on {folder}/admin.sock; is it running? proxy --conf FILE" in done.stderr


def test_one_listener_for_both_families(start_proxy):
    proxy = start_proxy('listen: ["http://*:0"]\n' + DEMO)
    port = int(proxy.urls[0].rsplit(":", 1)[1].strip("/"))
    for host, remote in (("127.0.0.1", "127.0.0.1"), ("::1", "::1")):
        with Client((host, port)) as client:
            assert client.exchange(request("/worker")).json["remote"] == remote


def test_a_listening_socket_that_the_edges_share(start_proxy):
    proxy = start_proxy('listen: [{ url: "http://127.0.0.1:0", reuse_port: false, backlog: 16 }]\n' + DEMO)
    for _ in range(20):
        assert proxy.get("/worker").status == 200
    proxy.reload()
    assert proxy.get("/worker").status == 200


def test_a_worker_that_is_never_ready_does_not_hold_up_the_start(start_proxy):
    proxy = start_proxy("""
        services:
          demo: { demo: true, workers: 1 }
          never: { command: [sleep, "1000"], workers: 1, timeout: { start: 200ms }, queue: { length: 10, wait: 300ms } }
        routes: [{ path: /never/, to: never }, { to: demo }]
    """)
    assert proxy.get("/worker").status == 200
    assert proxy.get("/never/").status == 503


def test_stop_by_the_control_socket_answers_when_drained(start_proxy):
    proxy = start_proxy(DEMO)
    done = run_proxy("stop", "--conf", proxy.configuration)
    assert done.returncode == 0, done.stderr
    assert proxy.finished() == 0


def test_without_a_file_an_app_is_served(start_proxy, folder):
    (folder / "hello.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n")
    done = run_proxy("--app", "hello:app", "--print-config", folder=folder, environment={
        "XDG_DATA_HOME": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": ""})
    assert done.returncode == 0, done.stderr
    assert "hello:app" in done.stdout


def test_warnings_of_the_file_are_events_like_all_others(start_proxy):
    proxy = start_proxy("services: { a: { demo: true }, lonely: { demo: true } }\nroutes: [{ to: a }]")
    proxy.event("notice", level="warning")
    assert [line for line in proxy.errors.splitlines() if not line.startswith("{")] == []
    proxy.reload()
    assert len([line for line in proxy.events("notice") if "lonely" in line["text"]]) == 2
