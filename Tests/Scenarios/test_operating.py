"""What operators do to a proxy and its files: wrong names, pipes, removed folders, other users, closed windows."""

import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from harness import processes, request, run_proxy
from harness.wire import until

ROOT = os.getuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root becomes other users")
DEMO = "services: { demo: { demo: true, workers: 1 } }\n"
LISTEN = 'listen: "http://127.0.0.1:0"\n'
# Whoever starts an app without a file is no root, as a rule.
USER = 4321
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if ROOT else []
HELLO = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


def directories(folder, spool="spool"):
    return f"directories: {{ runtime: {folder}/run, state: {folder}/state, spool: {folder}/{spool} }}\n"


def check(folder, text, *arguments, **options):
    (folder / "checked.yaml").write_text(text)
    return run_proxy("-t", "--conf", "checked.yaml", *arguments, folder=folder, **options)


# Files that are none


def test_a_configuration_that_became_a_pipe_is_rejected_and_the_proxy_lives_on(start_proxy):
    proxy = start_proxy(DEMO)
    proxy.configuration.unlink()
    os.mkfifo(proxy.configuration)
    proxy.signal(signal.SIGHUP)
    assert "1 error" in proxy.event("config_rejected")["error"]
    answer = proxy.command("reload")
    assert (answer["ok"], answer["exit"]) == (False, 78)
    assert "cannot be read: it is a pipe or a device" in answer["diagnostics"][0]["message"]
    assert proxy.get("/worker").status == 200
    assert proxy.stop() == 0


@pytest.mark.parametrize("key", ["certificate", "key", "ca"])
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(folder, key):
    os.mkfifo(folder / "pipe")
    if key == "ca":
        text = LISTEN + "services: { a: { upstreams: [{ url: 'https://127.0.0.1:1', ca: pipe }] } }\n"
    else:
        text = "listen: 'https://127.0.0.1:0'\ntls: { certificates: [{ certificate: pipe, key: pipe }] }\n" + DEMO
    done = check(folder, text)
    assert done.returncode == 78
    assert f"{key}: {folder}/pipe cannot be read: it is a pipe or a device" in done.stderr


def test_standard_input_is_refused_in_words(folder):
    reader, writer = os.pipe()
    done = subprocess.run(
        [os.environ.get("PROXY_BINARY", Path(__file__).parents[2] / ".build/release/proxy"), "-t", "--conf", "/dev/stdin"],
        stdin=reader, capture_output=True, text=True, timeout=10)
    assert done.returncode == 78
    assert "/dev/stdin: error: cannot be read: it is a pipe or a device" in done.stderr
    os.close(reader)
    os.close(writer)


# Folders


def upload(proxy):
    return proxy.get("/upload", method="POST", body=b"x" * 1_000_000)


def test_a_spool_that_was_removed_is_made_again(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1, buffer: request } }")
    spool = proxy.folder / "spool"
    before = os.stat(spool)
    shutil.rmtree(spool)
    proxy.event("restored", path=str(spool))
    after = os.stat(spool)
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert upload(proxy).json["bytes"] == 1_000_000


def test_a_spool_that_cannot_be_used_is_named_by_edges_and_by_a_reload(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1, buffer: request } }")
    spool = proxy.folder / "spool"
    (proxy.folder / "file").touch()
    os.rename(proxy.folder / "file", proxy.folder / "ready")
    spool.rmdir()
    os.rename(proxy.folder / "ready", spool)
    if spool.is_dir():
        pytest.skip("it was made again in between")
    with proxy.client() as client:
        client.send(request("/upload", "POST", content_length=1_000_000))
        client.try_send(b"x" * 1_000_000)
        assert client.response().status == 507
    failed = proxy.event("spool_failed")
    assert failed["path"] == str(spool) and "Not a directory" in failed["cause"]
    answer = proxy.command("reload")
    assert not answer["ok"] and str(spool) in str(answer)
    spool.unlink()
    assert proxy.command("reload")["ok"]
    assert upload(proxy).json["bytes"] == 1_000_000


@only_root
def test_the_spool_goes_along_with_a_change_of_the_user(start_proxy, folder):
    for user in ("nobody", "daemon", "4321", "nobody"):
        proxy = start_proxy(directories(folder, "bodies") + f"user: {user}\n" + DEMO)
        number = {"nobody": 65534, "daemon": 1, "4321": 4321}[user]
        assert os.stat(folder / "bodies").st_uid == number
        status = json.loads(run_proxy("status", "--json", "--conf", proxy.configuration).stdout)
        assert {processes.user_of(edge["pid"]) for edge in status["edges"]} == {number}
        assert run_proxy("stop", "--conf", proxy.configuration).returncode == 0
        assert proxy.finished() == 0
    # Somebody's, and no longer empty.
    (folder / "bodies/mine").touch()
    done = check(folder, LISTEN + directories(folder, "bodies") + "user: daemon\n" + DEMO)
    assert done.returncode == 78
    assert f"directories.spool: {folder}/bodies belongs to nobody, and edges run as daemon" in done.stderr


def test_a_start_that_fails_takes_its_folders_away(start_proxy, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        proxy = start_proxy(
            f'listen: ["http://127.0.0.1:{taken.getsockname()[1]}"]\n' + directories(folder, "new/spool")
            + f"admin: {{ socket: {folder}/control/a.sock }}\n" + DEMO, ready=False)
        assert proxy.finished() == 69
    assert [name for name in ("run", "state", "control") if (folder / name).exists()] == []
    assert not (folder / "new/spool").exists()


@pytest.mark.parametrize("shared", [True, False])
def test_a_second_instance_is_told_everything_it_has_to_set(start_proxy, folder, shared):
    first = start_proxy(DEMO)
    runtime = first.folder / "run" if shared else folder / "other"
    second = start_proxy(
        f"directories: {{ runtime: {runtime}, state: {folder}/state-2, spool: {folder}/spool-2 }}\n"
        f"admin: {{ socket: {first.control} }}\n" + DEMO, ready=False)
    assert second.finished() == 69
    said = f"another proxy (pid {first.pid}) answers on {first.control}; stop it or set admin.socket"
    more = f" and directories.runtime, for {runtime} is in use too" if shared else ""
    assert second.errors.strip() == f"proxy: {said}{more}"


@only_root
def test_logs_and_folders_that_are_closed_are_told_before_the_start(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "error.log").touch(mode=0o600)
    (folder / "error.log").touch(mode=0o600)
    text = LISTEN + DEMO + f"logs: {{ access: {{ path: {folder}/access.json }}, error: {{ path: {folder}/error.log }} }}\n"
    done = check(folder, text, user=65534, group=65534, extra_groups=[])
    assert done.returncode == 78
    assert f"checked.yaml:3:25: error: logs.access.path: {folder}/access.json cannot be made in {folder}: " in done.stderr
    assert f"logs.error.path: {folder}/error.log cannot be written: Permission denied" in done.stderr
    assert check(folder, text).returncode == 0
    # The folder of an app.
    (closed / "hello.py").write_text(HELLO)
    done = check(folder, LISTEN + "services:\n  web: { app: 'hello:app', dir: closed, python: /usr/bin/python3 }\n")
    assert done.returncode == 78
    assert f"checked.yaml:3:33: error: services.web.dir: {closed} cannot be entered by nobody" in done.stderr
    assert f"{closed} is closed to it (mode 700)" in done.stderr
    # An access list that lets nobody (65534) in, tag, rights and id by line: the mode bits say less.
    entries = [(1, 7, -1), (2, 5, 65534), (4, 0, -1), (0x10, 5, -1), (0x20, 0, -1)]
    try:
        os.setxattr(closed, "system.posix_acl_access",
                    struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries))
    except OSError:
        return  # A file system without them.
    text = LISTEN + "services:\n  web: { app: 'hello:app', dir: closed, python: /usr/bin/python3 }\n"
    assert check(folder, text).returncode == 0


# Terminals


def start_on_a_terminal(start_proxy, folder, ignore=False):
    (folder / "hello.py").write_text(HELLO)
    if ROOT:
        os.chown(folder, USER, USER)
    terminal, theirs = pty.openpty()
    # Nobody else may have a hand in it: the terminal dies with our end.
    os.set_inheritable(terminal, False)

    def become_leader():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore else signal.SIG_DFL)
    proxy = start_proxy(
        within=AS_USER, arguments=["--app", "hello:app", "--listen", "http://127.0.0.1:0", "--workers", "1"], stdout=theirs, stderr=theirs,
        preexec=become_leader, environment={"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": ""}, ready=False)
    os.close(theirs)
    text = b""
    while b"Ready in" not in text:
        text += os.read(terminal, 65536)
    return proxy, terminal


def test_an_app_without_a_file_ends_with_its_terminal(start_proxy, folder):
    proxy, terminal = start_on_a_terminal(start_proxy, folder)
    # With a terminal that lives, HUP is what it is with a file.
    proxy.signal(signal.SIGHUP)
    text = b""
    while b"config_reloaded" not in text:
        text += os.read(terminal, 65536)
    os.close(terminal)
    assert proxy.wait() == 0


def test_what_was_told_to_outlive_its_terminal_does(start_proxy, folder):
    proxy, terminal = start_on_a_terminal(start_proxy, folder, ignore=True)
    control = str(next(folder.rglob("admin.sock")))
    os.close(terminal)
    proxy.signal(signal.SIGHUP)
    time.sleep(1)
    assert run_proxy("status", "--socket", control).returncode == 0
    assert run_proxy("stop", "--socket", control).returncode == 0
    assert proxy.wait() == 0


# Commands


def test_who_was_told_that_it_stopped_may_start_the_next_one(start_proxy, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = f'listen: ["http://127.0.0.1:{port}"]\n' + directories(folder) + DEMO
    for _ in range(5):
        proxy = start_proxy(config)
        with socket.socket(socket.AF_UNIX) as connection, socket.socket() as next_one:
            connection.connect(f"{folder}/run/admin.sock")
            connection.sendall(b'{"command":"stop"}\n')
            assert json.loads(connection.recv(4096)) == {"ok": True, "result": {"stopped": True}}
            # This very moment.
            left = os.listdir(folder / "run")
            next_one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            next_one.bind(("127.0.0.1", port))
        assert left == []
    assert start_proxy(config).get("/worker").status == 200


def test_answers_as_json(start_proxy):
    proxy = start_proxy(DEMO)

    def answer(*words):
        done = run_proxy(*words, "--json", "--socket", proxy.control)
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)
    assert answer("reload") == (0, {"generation": 2, "services": "app code unchanged"})
    proxy.configuration.write_text("listen: [")
    code, failure = answer("reload")
    assert (code, failure["ok"], failure["exit"]) == (78, False, 78)
    assert failure["diagnostics"][0]["file"] == str(proxy.configuration)
    assert answer("stop") == (0, {"stopped": True})
    assert proxy.finished() == 0


def test_a_reload_with_the_apps_says_what_became_of_both(start_proxy, folder):
    source = folder / "hello.py"
    source.write_text(HELLO)
    proxy = start_proxy(f"services: {{ web: {{ app: 'hello:app', dir: {folder}, python: /usr/bin/python3, workers: 1 }} }}\n")
    done = run_proxy("reload", "--apps", "--conf", proxy.configuration)
    assert (done.returncode, done.stdout) == (0, "generation 2; rolled web\n")
    source.write_text("import no_such_module_x\n")
    done = run_proxy("reload", "--apps", "--conf", proxy.configuration)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "proxy: the configuration was read and serves as generation 3, but workers could not be replaced, "
        "and the old ones serve on: services.web: ")
    assert "no_such_module_x" in done.stderr
    assert proxy.status()["generation"] == 3 and proxy.get().text == "hello"


@pytest.mark.parametrize("line", [b"\n", b'{"command":"sta', b'{"command":"status"}', b"", b"status\n", b'{"command":1}\n'])
def test_whoever_asks_badly_is_told(start_proxy, line):
    proxy = start_proxy(DEMO)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(proxy.control)
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile().read())
    assert (answer["ok"], answer["exit"]) == (False, 2)
    assert "one JSON line with a command is expected" in answer["error"]
    answer = proxy.command("reload", apps="yes")
    assert (answer["ok"], answer["error"]) == (False, "apps: takes true or false")
    assert proxy.status()["generation"] == 1


def test_a_new_root_of_the_development_ca_is_told(start_proxy):
    config = "listen: 'https://127.0.0.1:0'\ntls: { dev_ca: true }\n" + DEMO
    proxy = start_proxy(config)
    assert proxy.events("notice") == []
    ca = proxy.folder / "state/ca"
    (ca / "root-key.pem").chmod(0o644)
    proxy.reload()
    assert (ca / "root-key.pem").stat().st_mode & 0o777 == 0o600
    assert proxy.events("notice") == []
    (ca / "root-key.pem").unlink()
    proxy.reload()
    notice = proxy.event("notice", level="warning")["text"]
    assert notice.startswith(f"{ca}/root.pem: warning: tls.dev_ca: a new root")
    until(lambda: (ca / "root-key.pem").exists(), "the new key")
