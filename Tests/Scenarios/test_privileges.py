"""Whose code runs as whom, and whose files and processes the proxy touches."""

import json
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import textwrap
from pathlib import Path

import pytest

from harness import processes, request, run_proxy
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


def test_the_development_authority_leaves_the_way_to_the_spool_open(start_proxy, folder):
    proxy = start_proxy("""
        listen: ["http://127.0.0.1:0", "https://127.0.0.1:0"]
        tls: { dev_ca: true }
        directories: { runtime: FOLDER/run, state: FOLDER/state }
        services: { demo: { demo: true, workers: 1, buffer: request } }
    """.replace("FOLDER", str(folder)))
    body = b"x" * 300_000
    for mode in (None, 0o700):
        if mode:
            # As earlier versions left it.
            assert proxy.stop() == 0
            (folder / "state").chmod(mode)
            proxy = start_proxy(proxy.configuration.read_text())
        with proxy.client() as client:
            answer = client.exchange(request("/upload", "POST", body=body))
            assert (answer.status, json.loads(answer.body)["bytes"]) == (200, 300_000), answer.body
        assert (folder / "state/ca").stat().st_mode & 0o777 == 0o700


def test_an_interpreter_that_the_user_may_not_start_is_named(start_proxy, folder):
    if not ROOT:
        pytest.skip("needs a folder that only another user may enter")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to("/usr/bin/python3")
    proxy = start_proxy(python_app(folder, HELLO, closed / "python"), ready=False)
    assert proxy.finished() == 78
    assert f"{closed}/python cannot be used by nobody" in proxy.errors


def test_an_interpreter_in_the_path_that_the_user_may_not_start_is_passed_over(folder):
    if not ROOT:
        pytest.skip("needs a folder that only another user may enter")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python3").symlink_to("/usr/bin/python3")
    (folder / "hello.py").write_text(textwrap.dedent(HELLO))
    done = run_proxy("--app", "hello:app", "-T", folder=folder, environment={"PATH": f"{closed}:/usr/bin:/bin", "VIRTUAL_ENV": ""})
    assert done.returncode == 0, done.stderr
    assert "python: /usr/bin/python3" in done.stdout or 'python: "/usr/bin/python3"' in done.stdout


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
    os.register_at_fork(before=forge)

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
    upstreams = "".join(f"      - http://127.0.0.1:{10000 + number}\n" for number in range(1200))
    proxy = start_proxy(f"services:\n  big:\n    upstreams:\n{upstreams}")
    assert len(proxy.endpoints("big")) == 1200
    done = run_proxy("status", "--json", "--conf", proxy.configuration)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"127.0.0.1:1') >= 1200


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


def test_more_names_than_a_packet_holds(start_proxy):
    # No server is ever asked for these (RFC 7686), and the answer is no.
    long = ".".join(["a" * 60] * 3)

    def config(count):
        upstreams = "".join(f"      - http://{long}.host-{number}.onion:80\n" for number in range(count))
        return f"services:\n  big:\n    upstreams:\n{upstreams}"

    def looked_up(count):
        names = {record["name"] for record in proxy.events("name_unresolved")}
        return len(names) == count
    proxy = start_proxy(config(400))
    until(lambda: looked_up(400), "every name to be looked up")
    proxy.reload(config(500))
    until(lambda: looked_up(500), "the new names to be looked up")


def test_the_trial_of_an_interpreter_is_no_roots_business(folder):
    if not ROOT:
        pytest.skip("only root can become another user")
    seen = folder / "seen"
    seen.touch()
    seen.chmod(0o666)
    python = folder / "python"
    python.write_text(f"#!/bin/sh\nid -u >> {seen}\nexit 0\n")
    python.chmod(0o755)
    (folder / "proxy.yaml").write_text('listen: "http://127.0.0.1:0"\n' + python_app(folder, HELLO, python))
    assert run_proxy("-t", "--conf", folder / "proxy.yaml").returncode == 0
    assert set(seen.read_text().split()) == {"65534"}


def test_secrets_of_one_program_are_nobody_elses(start_proxy, folder):
    program = folder / "program.py"
    program.write_text("import time\ntime.sleep(600)\n")
    proxy = start_proxy(
        f"services: {{ demo: {{ demo: true, workers: 1 }}, tool: {{ command: [/usr/bin/python3, {program}, '{{socket}}'], "
        "workers: 1, env: { PASSWORD: s3cret }, timeout: { start: 100ms } } }\nroutes: [{ to: demo }]\n"
        "plugins: [{ name: tap, command: [cat] }]\n")
    checked = 0
    for process in processes.descendants(proxy.pid):
        for name in os.listdir(f"/proc/{process.pid}/fd") if ROOT else []:
            try:
                if "configuration" not in os.readlink(f"/proc/{process.pid}/fd/{name}"):
                    continue
            except FileNotFoundError:
                continue
            checked += 1
            assert b"s3cret" not in Path(f"/proc/{process.pid}/fd/{name}").read_bytes(), process
    # The edges take theirs and close it; what the master has made for them is all there is to see.
    for name in os.listdir(f"/proc/{proxy.pid}/fd"):
        if "configuration" in os.readlink(f"/proc/{proxy.pid}/fd/{name}"):
            checked += 1
            assert b"s3cret" not in Path(f"/proc/{proxy.pid}/fd/{name}").read_bytes()
    assert checked > 0


def test_a_spool_of_somebody_else_stays_his(start_proxy, folder):
    if not ROOT:
        pytest.skip("only root gives folders away")
    spool = folder / "his"
    spool.mkdir(mode=0o700)
    os.chown(spool, 33, 33)
    proxy = start_proxy(f"directories: {{ runtime: {folder}/run, state: {folder}/state, spool: {spool} }}\n{DEMO}", ready=False)
    assert proxy.finished() == 77
    assert f"directories.spool: {spool} belongs to " in proxy.errors
    assert os.stat(spool).st_uid == 33


def test_what_is_no_socket_is_not_replaced_by_one(start_proxy, folder):
    mine = folder / "mine"
    mine.write_text("mine")
    proxy = start_proxy(f"admin: {{ socket: {mine} }}\n{DEMO}", ready=False)
    assert proxy.finished() == 78
    assert f"{mine} is there and is no socket" in proxy.errors
    assert mine.read_text() == "mine" and not Path(f"{mine}.lock").exists()


def test_a_lock_that_is_a_link_is_not_followed(start_proxy, folder):
    precious = folder / "precious"
    precious.write_text("precious")
    (folder / "admin.sock.lock").symlink_to(precious)
    proxy = start_proxy(f"admin: {{ socket: {folder}/admin.sock }}\n{DEMO}", ready=False)
    assert proxy.finished() == 1
    assert precious.read_text() == "precious"


def test_what_is_removed_from_under_a_proxy_is_made_again(start_proxy, folder):
    proxy = start_proxy(python_app(folder, HELLO, more=", queue: { wait: 10s }"))
    assert proxy.get().text == "hello"
    shutil.rmtree(proxy.folder / "run")
    for name in ("workers", "host", "admin.sock"):
        proxy.event("restored", path=f"{proxy.folder}/run/{name}")
    until(lambda: proxy.get().status == 200, "a worker on a socket that is there")
    assert proxy.command("reload", apps=True)["ok"]
    assert proxy.get().text == "hello"


def test_an_error_log_that_cannot_be_opened_rejects_a_reload(start_proxy):
    proxy = start_proxy(DEMO)
    place = proxy.folder / "logs"
    place.mkdir()
    os.mkfifo(place / "error.log")
    proxy.write(f"logs: {{ error: {{ path: {place}/error.log }} }}\n{DEMO}")
    answer = proxy.command("reload")
    assert not answer["ok"] and "logs.error.path" in answer["error"]
    assert proxy.status()["generation"] == 1


def test_lines_that_were_lost_are_said_at_the_end(start_proxy):
    proxy = start_proxy("edges: 1\nlogs: { access: { path: /dev/full } }\n" + DEMO)
    for _ in range(3):
        assert proxy.get("/worker").status == 200
    assert proxy.stop() == 0
    assert sum(record["lines"] for record in proxy.events("access_log_lost")) == 3


def test_a_plugin_that_is_not_there_is_found_by_the_check(folder):
    (folder / "proxy.yaml").write_text(
        'listen: "http://127.0.0.1:0"\n' + DEMO + "plugins: [{ name: tap, command: [no-such-program-x] }]\n")
    done = run_proxy("-t", "--conf", folder / "proxy.yaml")
    # No plug-in holds the proxy up.
    assert done.returncode == 0
    assert "warning: plugins.0.command: there is no program no-such-program-x in PATH" in done.stderr


def test_a_low_limit_of_open_files_is_not_blamed_on_a_key_that_nobody_wrote(folder):
    (folder / "proxy.yaml").write_text('listen: "http://127.0.0.1:0"\nedges: 1\n' + DEMO)
    done = run_proxy("-t", "--conf", folder / "proxy.yaml",
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
    assert done.returncode == 78
    assert "this machine's limit of 300 open files has room for " in done.stderr
