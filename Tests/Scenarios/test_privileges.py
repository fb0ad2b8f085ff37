"""Whose code runs as whom, and whose files and processes the proxy touches."""

import os
import pwd
import signal
import socket
import subprocess
import textwrap
from pathlib import Path

import pytest

from harness import processes, run_proxy
from harness.wire import until

ROOT = os.getuid() == 0
DEMO = "services: { demo: { demo: true, workers: 1 } }\n"
HELLO = """
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


def python_app(folder, source, python="/usr/bin/python3", more=""):
    (folder / "hello.py").write_text(textwrap.dedent(source))
    return f"services: {{ web: {{ app: 'hello:app', dir: {folder}, python: {python}, workers: 1{more} }} }}\n"


def test_no_line_of_a_venv_runs_as_root(start_proxy, folder):
    venv = folder / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv], check=True)
    seen = folder / "seen"
    seen.touch()
    seen.chmod(0o666)
    spy = f"import os; open({str(seen)!r}, 'a').write('%d %d %d\\n' % (os.getuid(), os.getgid(), len(os.getgroups())))\n"
    packages = next(venv.glob("lib/python3*/site-packages"))
    (packages / "spy.pth").write_text(spy)
    start_proxy(python_app(folder, HELLO, venv))
    nobody = pwd.getpwnam("nobody")
    user = (nobody.pw_uid, nobody.pw_gid) if ROOT else (os.getuid(), os.getgid())
    ran = [tuple(map(int, line.split()))[:2] for line in seen.read_text().splitlines()]
    assert ran and set(ran) == {user}


def test_an_interpreter_that_the_user_may_not_start_is_named(start_proxy, folder):
    if not ROOT:
        pytest.skip("needs a folder that only another user may enter")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to("/usr/bin/python3")
    proxy = start_proxy(python_app(folder, HELLO, closed / "python"), ready=False)
    assert proxy.finished() in (1, 78)
    assert f"{closed}/python" in proxy.errors


def test_what_is_set_for_a_program_is_not_set_for_what_starts_it(start_proxy, folder):
    program = folder / "program.py"
    program.write_text("import os, sys, time\nopen(sys.argv[1], 'w').write(os.environ['SPECIAL'])\ntime.sleep(600)\n")
    noted = folder / "noted"
    noted.touch()
    noted.chmod(0o666)
    proxy = start_proxy(
        f"services: {{ tool: {{ command: [/usr/bin/python3, {program}, {noted}, '{{socket}}'], workers: 1, "
        f"env: {{ SPECIAL: \"a b\\nc\" }}, timeout: {{ start: 30s }} }} }}", ready=False)
    until(noted.read_text, "the program's environment")
    assert noted.read_text() == "a b\nc"
    for process in processes.descendants(proxy.pid):
        if str(program) not in process.arguments:
            environment = Path(f"/proc/{process.pid}/environ")
            assert not ROOT or b"SPECIAL" not in environment.read_bytes(), process
    proxy.stop()


FORGING = """
    import json, os, socket

    def control():
        for name in os.listdir("/proc/self/fd"):
            try:
                found = socket.socket(fileno=os.dup(int(name)))
            except OSError:
                continue
            if found.family == socket.AF_UNIX and found.type == socket.SOCK_SEQPACKET:
                return found
            found.close()

    def forge():
        with control() as end:
            end.send(json.dumps(dict(event="exited", pid=VICTIM, status=9)).encode())
            end.send(json.dumps(dict(event="exited", pid=EDGE, status=1 << 40)).encode())
            for incarnation in range(1, 10):
                for pid in (VICTIM, EDGE, -1, 0, 1 << 40):
                    end.send(json.dumps(dict(event="forked", worker=1, incarnation=incarnation, pid=pid)).encode())

    VICTIM, EDGE = (int(word) for word in open("numbers").read().split())
    os.register_at_fork(after_in_parent=forge)

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


def test_an_app_cannot_pass_a_stranger_off_as_its_worker(start_proxy, folder):
    victim = subprocess.Popen(["sleep", "600"])
    try:
        proxy = start_proxy(DEMO)
        edges = [edge["pid"] for edge in proxy.edges()]
        (folder / "numbers").write_text(f"{victim.pid} {edges[0]}")
        proxy.reload(python_app(folder, FORGING, more=", timeout: { drain: 1s }"))
        proxy.event("worker_refused", pid=victim.pid)
        worker = proxy.endpoints("web")[0]
        assert worker["state"] == "ready" and worker["pid"] not in (victim.pid, edges[0])
        # An old edge may still take a connection.
        until(lambda: proxy.get().text == "hello", "the new configuration")
        assert proxy.command("reload", apps=True)["ok"]
        assert proxy.get().text == "hello"
        assert proxy.events("edge_exited") == [] and proxy.events("worker_exited") == []
        assert proxy.stop() == 0
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


# Folders


def test_folders_of_somebody_else_are_left_alone(start_proxy, folder):
    for name in ("host", "workers"):
        (folder / name).mkdir()
        (folder / name / "mine.txt").write_text("mine")
    config = f"directories: {{ runtime: {folder}, state: {folder}/state, spool: {folder}/spool }}\n{DEMO}"
    (folder / "checked.yaml").write_text(config)
    assert run_proxy("-t", "--conf", folder / "checked.yaml").returncode == 78
    proxy = start_proxy(config, ready=False)
    assert proxy.finished() == 78
    assert f"{folder}/workers is there and no proxy has made it" in proxy.errors
    assert [(folder / name / "mine.txt").read_text() for name in ("host", "workers")] == ["mine", "mine"]


def test_the_folders_of_a_proxy_that_runs_are_left_alone(start_proxy):
    first = start_proxy(DEMO)
    second = start_proxy(
        f"directories: {{ runtime: {first.folder}/run, state: {first.folder}/state, spool: {first.folder}/spool }}\n"
        f"admin: {{ socket: {first.folder}/other.sock }}\n{DEMO}", ready=False)
    assert second.finished() == 69
    assert f"another proxy (pid {first.pid}) uses {first.folder}/run/workers" in second.errors
    assert not (first.folder / "other.sock").exists()
    assert first.get("/worker").status == 200


@pytest.mark.parametrize("kind", ["stranger", "open", "link"])
def test_a_runtime_folder_that_others_have_a_hand_in_is_refused(start_proxy, folder, kind):
    run = folder / "shared"
    if kind == "link":
        (folder / "elsewhere").mkdir(mode=0o755)
        run.symlink_to(folder / "elsewhere")
    else:
        run.mkdir()
        run.chmod(0o777)
    if kind == "stranger":
        if not ROOT:
            pytest.skip("only root can make a folder for another user")
        os.chown(run, 33, 33)
        run.chmod(0o755)
    proxy = start_proxy(f"directories: {{ runtime: {run}, state: {folder}/state, spool: {folder}/spool }}\n{DEMO}", ready=False)
    assert proxy.finished() == 77
    reason = {"stranger": "belongs to ", "open": "may be written by others", "link": "is no folder"}[kind]
    assert f"{run} {reason}" in proxy.errors
    assert os.listdir(run) == []


@pytest.mark.parametrize("moved", ["runtime", "state", "spool", "socket"])
def test_a_reload_cannot_move_the_proxy(start_proxy, moved):
    proxy = start_proxy(DEMO)
    places = {name: f"{proxy.folder}/{name}" for name in ("state", "spool")} | {
        "runtime": f"{proxy.folder}/run", "socket": proxy.control}
    places[moved] += "-2"
    config = (f"directories: {{ runtime: {places['runtime']}, state: {places['state']}, spool: {places['spool']} }}\n"
              f"admin: {{ socket: {places['socket']} }}\n" + DEMO)
    proxy.write(config)
    answer = proxy.command("reload")
    assert (answer["ok"], answer["exit"]) == (False, 78)
    assert places[moved] in answer["error"] and "restart" in answer["error"]
    assert proxy.event("config_rejected")["error"] == answer["error"]
    assert proxy.get("/worker").status == 200
    assert not os.path.exists(places[moved])


# Logs on descriptors that somebody else opened


@pytest.mark.parametrize("kind", ["socket", "pipe", "pipe of another user"])
def test_standard_output_is_taken_as_it_is(start_proxy, folder, kind):
    reader, writer = (end.detach() for end in socket.socketpair()) if kind == "socket" else os.pipe()
    preexec = None
    if kind == "pipe of another user":
        if not ROOT:
            pytest.skip("only root can become another user")
        folder.chmod(0o777)
        preexec = become_nobody
    proxy = start_proxy("logs: { access: { path: stdout } }\n" + DEMO, stdout=writer, preexec=preexec)
    os.close(writer)
    assert proxy.get("/worker").status == 200
    assert b'"target":"/worker"' in os.read(reader, 65536)
    os.close(reader)


def become_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def test_a_pipe_that_nobody_reads_holds_no_request(start_proxy):
    reader, writer = os.pipe()
    proxy = start_proxy("edges: 1\nlogs: { access: { path: stdout } }\n" + DEMO, stdout=writer)
    os.close(writer)
    with proxy.client() as client:
        for _ in range(400):
            assert client.exchange(f"GET /worker?{'x' * 1000} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).status == 200
    # The lines of the last second may still be on their way.
    proxy.event("access_log_lost")
    assert proxy.get("/worker").status == 200
    os.close(reader)


# Answers and parts that hang


def test_a_long_status_is_whole(start_proxy):
    upstreams = "".join(f"      - http://127.0.0.1:{10000 + number}\n" for number in range(2000))
    proxy = start_proxy(f"services:\n  big:\n    upstreams:\n{upstreams}")
    assert len(proxy.endpoints("big")) == 2000
    done = run_proxy("status", "--json", "--conf", proxy.configuration)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"127.0.0.1:1') >= 2000


def test_those_who_only_hold_connections_shut_nobody_out(start_proxy):
    proxy = start_proxy(DEMO)
    held = []
    for _ in range(100):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].connect(proxy.control)
    done = run_proxy("status", "--conf", proxy.configuration)
    assert done.returncode == 0, (done.returncode, done.stderr)
    for one in held:
        one.close()


def test_a_plugin_host_that_hangs_holds_no_status_up(start_proxy):
    proxy = start_proxy(DEMO + "plugins: [{ name: tap, command: [sh, -c, 'cat > /dev/null'] }]")
    host = next(process.pid for process in processes.descendants(proxy.pid)
                if Path(f"/proc/{process.pid}/comm").read_text().strip() == "proxy: plugins")
    os.kill(host, signal.SIGSTOP)
    try:
        shown = proxy.status()["plugins"]
        assert [(one["name"], one["state"], one["pid"]) for one in shown] == [("tap", "unknown", None)]
    finally:
        os.kill(host, signal.SIGCONT)
    until(lambda: proxy.status()["plugins"][0]["state"] == "running", "the host's answer")


def test_names_by_the_thousand(start_proxy):
    # No server is ever asked for these (RFC 7686), and the answer is no.
    def config(count):
        upstreams = "".join(f"      - http://a-rather-long-name-of-a-host-{number:05}.onion:80\n" for number in range(count))
        return f"services:\n  big:\n    upstreams:\n{upstreams}"

    def looked_up(count):
        names = {record["name"] for record in proxy.events("name_unresolved")}
        return len(names) == count
    proxy = start_proxy(config(1500))
    until(lambda: looked_up(1500), "every name to be looked up")
    proxy.reload(config(1600))
    until(lambda: looked_up(1600), "the new names to be looked up")
