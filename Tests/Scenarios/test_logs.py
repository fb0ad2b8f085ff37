"""Part 10 and contract section 5: the access log, the error log, and what may go wrong with them."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import textwrap
import threading

import pytest

from harness import Load, processes, request, run_proxy
from harness.wire import until

DEMO = "services: { demo: { demo: true, workers: 2 } }\n"
KEYS = (
    "time id remote remote_port scheme host method target protocol status request_bytes response_bytes duration queue "
    "connect first_byte service endpoint worker pid retries connection connection_requests referer user_agent tls outcome "
    "error").split()


def test_a_line_has_all_keys_in_their_order(start_proxy):
    proxy = start_proxy(DEMO)
    with proxy.client() as client:
        port = client.port
        client.exchange(request("/worker"))
        answer = client.exchange(request(
            "/upload?a=%20b", "POST", body=b"hello", referer="http://from.test/", user_agent='a "quoted" \\ agent'))
    first, line = proxy.access(2)
    assert list(line) == KEYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert line["id"] == answer.get("x-request-id")
    expected = {
        "remote": "127.0.0.1", "remote_port": port, "scheme": "http", "host": "example.test", "method": "POST",
        "target": "/upload?a=%20b", "protocol": "HTTP/1.1", "status": 200, "request_bytes": 5,
        "response_bytes": len(answer.body), "service": "demo", "retries": 0, "connection_requests": 2,
        "referer": "http://from.test/", "user_agent": 'a "quoted" \\ agent', "tls": None, "outcome": "ok", "error": None}
    assert {key: line[key] for key in expected} == expected
    assert line["endpoint"] == f"demo/{line['worker']}"
    assert line["pid"] in [worker["pid"] for worker in proxy.endpoints("demo")]
    assert first["connection"] == line["connection"] and first["connection_requests"] == 1
    assert line["duration"] >= line["first_byte"] > 0
    raw = (proxy.folder / "access.json").read_text().splitlines()[1]
    assert re.search(r'"duration":\d+\.\d{6},', raw)


def test_secrets_are_never_logged(start_proxy):
    proxy = start_proxy(DEMO)
    proxy.get("/worker", authorization="Bearer s3cret", cookie="session=s3cret")
    proxy.access(1)
    assert "s3cret" not in (proxy.folder / "access.json").read_text() + proxy.errors


def test_strange_bytes_stay_one_line_of_json(start_proxy):
    proxy = start_proxy(DEMO)
    with proxy.client() as client:
        client.exchange(b"GET /worker?\xc3\xa9 HTTP/1.1\r\nHost: example.test\r\nUser-Agent: \xff\xfe\ttab\r\n\r\n")
    for line in (proxy.access(1), (proxy.folder / "access.json").read_text().splitlines()):
        assert len(line) == 1


def test_the_combined_form(start_proxy):
    proxy = start_proxy("logs: { access: { path: access.log, format: combined } }\n" + DEMO)
    with proxy.client() as client:
        answer = client.exchange(request("/worker", referer="http://from.test/", user_agent="agent"))
    path = proxy.folder / "access.log"
    line = until(lambda: path.exists() and path.read_text(), "a line")
    match = re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /worker HTTP/1\.1" 200 (\d+) "http://from\.test/" "agent" '
        r'(\d+\.\d{6}) (demo/[12]) ([0-9A-Z]{26})\n', line)
    assert match, line
    assert int(match[1]) == len(answer.body) and match[4] == answer.get("x-request-id")


def test_every_request_is_one_line_under_load(start_proxy):
    proxy = start_proxy(DEMO)
    load = Load(proxy, clients=4)
    load.more(400)
    count = load.end()
    proxy.get("/worker")
    lines = proxy.access(count + 1)
    assert len(lines) == count + 1
    assert len({line["id"] for line in lines}) == count + 1


def test_usr1_reopens(start_proxy):
    proxy = start_proxy("""
        logs: { access: { path: access.json }, error: { path: error.json } }
        services: { demo: { demo: true, workers: 1 } }
    """)
    proxy.get("/worker?1")
    proxy.access(1)
    for name in ("access.json", "error.json"):
        os.rename(proxy.folder / name, proxy.folder / f"{name}.1")
    proxy.signal(signal.SIGUSR1)
    until(lambda: (proxy.folder / "access.json").exists() and (proxy.folder / "error.json").exists(), "new files")

    def in_the_new_file():
        proxy.get("/worker?2")
        return (proxy.folder / "access.json").read_text()
    until(in_the_new_file, "a line in the new file")
    with open(proxy.folder / "access.json.1") as old, open(proxy.folder / "access.json") as new:
        targets = [json.loads(line)["target"] for line in old.read().splitlines() + new.read().splitlines()]
    assert targets.count("/worker?1") == 1
    assert targets[1:] == ["/worker?2"] * (len(targets) - 1)


def test_logs_that_are_reopened_during_a_reload_stay_so_behind_it(start_proxy, folder):
    (folder / "slow.py").write_text(textwrap.dedent(f"""
        import pathlib, time
        pathlib.Path({str(folder / "importing")!r}).touch()
        while not pathlib.Path({str(folder / "go")!r}).exists():
            time.sleep(0.01)
        def app(environ, start_response):
            start_response("200 OK", [])
            return [b"slow"]
    """))
    os.chmod(folder, 0o777)
    demo = "demo: { demo: true, workers: 2 }"
    proxy = start_proxy(f"services: {{ {demo} }}\n")
    proxy.get("/before")
    proxy.access(1)
    proxy.write(
        f"services: {{ {demo}, slow: {{ app: 'slow:app', dir: {folder}, python: /usr/bin/python3, workers: 1 }} }}\n"
        "routes: [{ path: /slow, to: slow }, { to: demo }]\n")
    reload = threading.Thread(target=proxy.reload)
    reload.start()
    until(lambda: (folder / "importing").exists(), "the import")
    os.rename(folder / "access.json", folder / "access.json.1")
    proxy.signal(signal.SIGUSR1)
    until(lambda: proxy.events("logs_reopened"), "new files")
    (folder / "go").touch()
    reload.join()
    for edge in proxy.edges():
        proxy.kill(edge["pid"])
    until(lambda: [(each["state"], each["restarts"]) for each in proxy.edges()] == [("ready", 1)] * 2, "other edges")
    proxy.get("/after")
    assert [line["target"] for line in proxy.access(1)] == ["/after"]
    assert proxy.stop() == 0
    assert (folder / "access.json.1").read_text().count("\n") == 1


def test_a_reload_adds_moves_and_removes_the_access_log(start_proxy, folder):
    def logs(name):
        return f"logs: {{ access: {{ path: {folder}/{name} }} }}\n" + DEMO

    def lines(name):
        path = folder / name
        return path.read_text().count("\n") if path.exists() else 0
    none = "logs: { error: { path: stderr } }\n" + DEMO
    proxy = start_proxy(none)
    proxy.get("/worker")
    for name in ("one", "two"):
        proxy.reload(logs(name))
        for _ in range(4):
            proxy.get("/worker")
    proxy.reload(none)
    for _ in range(4):
        proxy.get("/worker")
    # Edges that are killed begin with the files of now, too.
    proxy.reload(logs("three"))
    for edge in proxy.edges():
        proxy.kill(edge["pid"])
    until(lambda: [(each["state"], each["restarts"]) for each in proxy.edges()] == [("ready", 1)] * 2, "other edges")
    for _ in range(4):
        proxy.get("/worker")
    assert proxy.stop() == 0
    assert [lines(name) for name in ("one", "two", "three")] == [4, 4, 4]


def test_a_full_disk_holds_no_request(start_proxy):
    proxy = start_proxy("logs: { access: { path: /dev/full } }\n" + DEMO)
    load = Load(proxy, clients=2)
    load.more(300)
    load.end()
    assert [edge["restarts"] for edge in proxy.edges()] == [0, 0]


def serves_on(proxy, edges):
    """Many more answers, by the same edges as before."""
    load = Load(proxy, clients=2)
    load.more(300)
    load.end()
    assert [edge["pid"] for edge in proxy.edges()] == edges


def test_a_limit_on_file_sizes_ends_no_edge(start_proxy):
    proxy = start_proxy(DEMO)
    edges = [edge["pid"] for edge in proxy.edges()]
    for pid in edges:
        processes.limit(pid, "fsize", 1000)
    serves_on(proxy, edges)
    assert (proxy.folder / "access.json").stat().st_size <= 1000


def test_a_log_pipe_that_is_closed_ends_no_edge(start_proxy, folder):
    os.mkfifo(folder / "pipe")
    os.chmod(folder / "pipe", 0o666)
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    proxy = start_proxy(f"logs: {{ access: {{ path: {folder}/pipe }} }}\n" + DEMO)
    edges = [edge["pid"] for edge in proxy.edges()]
    os.close(reader)
    serves_on(proxy, edges)


def test_a_stuck_pipe_holds_no_request(start_proxy, folder):
    os.mkfifo(folder / "pipe")
    os.chmod(folder / "pipe", 0o666)
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    proxy = start_proxy(f"logs: {{ access: {{ path: {folder}/pipe }} }}\n" + DEMO)
    load = Load(proxy, clients=2)
    load.more(1500)  # far more than a pipe of 64 KiB takes
    load.end()
    data = os.read(reader, 1 << 20)
    os.close(reader)
    assert json.loads(data.split(b"\n")[0])["status"] == 200
    assert proxy.get("/worker").status == 200


def read_all(reader, until_closed):
    """Reads a pipe in a thread of its own; `until_closed()` ends it when nothing comes any more."""
    pieces = []

    def read():
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        while True:
            if any(events & select.POLLIN for _, events in poll.poll(50)):
                pieces.append(os.read(reader, 1 << 20))
            elif until_closed():
                return
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)  # so that few lines are lost when we are slow
    thread = threading.Thread(target=read)
    thread.start()
    return thread, pieces


@pytest.mark.parametrize("where", ["a FIFO", "standard error"])
def test_lines_of_several_edges_do_not_mix_in_a_pipe(start_proxy, folder, where):
    done = threading.Event()
    if where == "a FIFO":
        os.mkfifo(folder / "pipe")
        os.chmod(folder / "pipe", 0o666)
        reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        thread, pieces = read_all(reader, done.is_set)
        proxy = start_proxy(f"logs: {{ access: {{ path: {folder}/pipe }} }}\n" + DEMO)
    else:
        reader, writer = os.pipe()
        proxy = start_proxy("logs: { access: { path: stderr } }\n" + DEMO, ready=False, stderr=writer)
        os.close(writer)
        text = b""
        while b'"ready"' not in text:
            text += os.read(reader, 65536)
        proxy.urls = next(json.loads(line) for line in text.split(b"\n") if b'"ready"' in line)["listen"]
        thread, pieces = read_all(reader, done.is_set)
    # Lines of about 450, 3,500 and 8,500 bytes, the last ones longer than a pipe takes whole.
    loads = [Load(proxy, clients=2, target="/worker?" + "x" * length) for length in (10, 3000, 8000)]
    for load in loads:
        load.more(200)
    for load in loads:
        load.end()
    assert proxy.stop() == 0
    done.set()
    thread.join()
    os.close(reader)
    lines = [json.loads(line) for line in b"".join(pieces).split(b"\n") if line]
    lines = [line for line in lines if "target" in line]
    assert len(lines) > 100
    for line in lines:
        assert list(line) == KEYS
    longest = max(len(line["target"]) for line in lines)
    assert 2000 < longest < 4096


def test_an_error_log_nobody_reads_holds_no_request(start_proxy, folder):
    read, write = os.pipe()
    proxy = start_proxy(DEMO, ready=False, stderr=write)
    os.close(write)
    text = b""
    while b'"ready"' not in text:
        text += os.read(read, 65536)
    proxy.urls = next(json.loads(line) for line in text.split(b"\n") if b'"ready"' in line)["listen"]
    for _ in range(30):
        proxy.get("/exception")
    load = Load(proxy, clients=2)
    load.more(200)
    load.end()
    os.close(read)
    # Nor does one that has gone.
    edges = [edge["pid"] for edge in proxy.edges()]
    for _ in range(4):
        assert proxy.get("/exception").status == 500
    serves_on(proxy, edges)
    proxy.reload()
    assert proxy.get("/worker").status == 200


def test_the_level_of_the_error_log(start_proxy, folder):
    proxy = start_proxy("logs: { error: { path: error.json, level: error } }\n" + DEMO)
    assert proxy.get("/worker").status == 200
    assert '"level":"info"' not in (folder / "error.json").read_text()


def test_lines_of_the_apps_own_go_to_the_error_log_with_its_name(start_proxy, folder):
    program = folder / "loud.py"
    program.write_text(
        "import sys\nfrom http.server import BaseHTTPRequestHandler\nimport socketserver\n"
        "print('to stdout', flush=True)\nprint('to stderr', file=sys.stderr, flush=True)\n"
        "socketserver.UnixStreamServer(sys.argv[1], BaseHTTPRequestHandler).serve_forever()\n")
    proxy = start_proxy(f"services: {{ loud: {{ command: [/usr/bin/python3, {program}, '{{socket}}'], workers: 1 }} }}")
    until(lambda: "to stdout" in proxy.errors and "to stderr" in proxy.errors, "both lines")
    for text in ("to stdout", "to stderr"):
        line = next(line for line in proxy.lines if line and text in line)
        assert "loud/1" in line


def test_status_is_json_and_text(start_proxy):
    proxy = start_proxy(DEMO)
    with proxy.client() as client:
        for _ in range(10):
            client.exchange(request("/worker"))
        status = proxy.status()
        assert list(status) == ["version", "pid", "generation", "started", "listeners", "edges", "services", "plugins"]
        assert (status["pid"], status["generation"], status["plugins"]) == (proxy.pid, 1, [])
        assert status["listeners"] == [{"url": proxy.urls[0], "connections": 1}]
        assert [list(edge) for edge in status["edges"]] == [
            ["edge", "pid", "generation", "state", "connections", "requests", "restarts", "refused"]] * 2
        assert sum(edge["requests"] for edge in status["edges"]) == 10
        demo = status["services"]["demo"]
        assert list(demo) == ["kind", "balance", "queue", "endpoints"]
        assert (demo["kind"], demo["balance"], demo["queue"]) == ("demo", "round-robin", {"waiting": 0, "length": 1000})
        for number, endpoint in enumerate(demo["endpoints"], 1):
            assert list(endpoint) == [
                "name", "worker", "pid", "address", "state", "capacity", "in_flight", "requests", "restarts"]
            assert (endpoint["name"], endpoint["worker"], endpoint["capacity"]) == (f"demo/{number}", number, 1)
        assert sum(endpoint["requests"] for endpoint in demo["endpoints"]) == 10
    done = run_proxy("status", "--json", "--conf", proxy.configuration)
    assert done.returncode == 0 and json.loads(done.stdout)["pid"] == proxy.pid
    done = run_proxy("status", "--socket", proxy.control)
    assert done.returncode == 0 and "demo/1" in done.stdout


def test_counts_survive_a_killed_edge(start_proxy):
    proxy = start_proxy("edges: 1\n" + DEMO)
    for _ in range(20):
        proxy.get("/worker")
    old = proxy.edges()[0]["pid"]
    proxy.kill(old)
    until(lambda: proxy.edges()[0]["pid"] != old and proxy.edges()[0]["state"] == "ready", "a new edge")
    assert proxy.edges()[0]["requests"] == 20
    assert proxy.get("/worker").status == 200
    until(lambda: proxy.edges()[0]["requests"] == 21, "the count to go on")


NONSENSE = {
    "nothing": b"", "no JSON": b"nonsense", "no command": b"{}", "an unknown command": b'{"command":"frobnicate"}',
    "deep": b"[" * 100_000, "long": b"x" * 1_000_000}


@pytest.mark.parametrize("name", NONSENSE)
def test_the_control_socket_answers_nonsense_with_an_error_and_goes_on(start_proxy, name):
    line = NONSENSE[name]
    proxy = start_proxy(DEMO)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(proxy.control)
        try:
            connection.sendall(line + b"\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            if answer:
                assert json.loads(answer)["ok"] is False
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert proxy.status()["pid"] == proxy.pid


def test_the_control_socket_is_its_owners(start_proxy):
    proxy = start_proxy(DEMO)
    mode = os.stat(proxy.control).st_mode & 0o777
    assert mode & 0o077 == 0
    if os.getuid() == 0:
        refused = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c",
             f"import socket; socket.socket(socket.AF_UNIX).connect({proxy.control!r})"], capture_output=True, text=True)
        assert "PermissionError" in refused.stderr


def test_a_client_that_hangs_on_the_control_socket_holds_nobody_up(start_proxy):
    proxy = start_proxy(DEMO)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.connect(proxy.control)
        hanging.sendall(b'{"command":')
        assert proxy.status()["pid"] == proxy.pid
        assert proxy.reload()["generation"] == 2
