"""`proxy --app`, and `listen: auto`: which ports they take, what they say, and that they serve."""

import json
import os
import pty
import subprocess

import pytest

from harness import processes, run_proxy

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello over " + environ["wsgi.url_scheme"].encode()]
"""
DEMO = "services: { demo: { demo: true, workers: 1 } }"

# Whoever starts an app without a file is no root, as a rule.
USER = 4321

# Fixed ports: in a network of the test's own, which only root can make.
own_network = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network of its own")
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
OWN_NETWORK = ["unshare", "--net", "/usr/bin/python3", "-c", LOOPBACK_UP]
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []


def curl(proxy, url, *arguments):
    """Asks from within the proxy's own network."""
    return subprocess.run(
        ["nsenter", f"--net=/proc/{proxy.pid}/ns/net", "curl", "--silent", "--show-error", "--max-time", "15", *arguments, url],
        capture_output=True, text=True)


@pytest.fixture
def place(folder):
    (folder / "hello.py").write_text(HELLO)
    if AS_USER:
        os.chown(folder, USER, USER)
    return folder


ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "VIRTUAL_ENV": ""}


def test_an_app_is_served_without_a_file(start_proxy, place):
    proxy = start_proxy(
        within=AS_USER, environment=ENVIRONMENT,
        arguments=["--app", "hello:app", "--listen", "http://127.0.0.1:0", "--workers", "2", "--threads", "3"])
    assert proxy.get().text == "hello over http"
    done = run_proxy("status", "--json", "--socket", next(place.rglob("admin.sock")))
    workers = json.loads(done.stdout)["services"]["app"]["endpoints"]
    assert [(worker["name"], worker["capacity"]) for worker in workers] == [("app/1", 3), ("app/2", 3)]
    user = USER if AS_USER else os.getuid()
    assert {processes.user_of(worker["pid"]) for worker in workers if worker["pid"]} == {user}


def test_an_app_that_is_not_there_is_said(place):
    done = run_proxy("--app", "gone:app", "--listen", "http://127.0.0.1:0", folder=place, environment={
        **ENVIRONMENT, "XDG_RUNTIME_DIR": str(place), "XDG_DATA_HOME": str(place)}, preexec_fn=as_user())
    assert done.returncode == 1
    assert "gone" in done.stderr and "proxy: services.app: " in done.stderr


def as_user():
    if not AS_USER:
        return None

    def change():
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    return change


@own_network
def test_an_app_on_a_terminal_is_served_on_clickable_urls(start_proxy, place):
    terminal, theirs = pty.openpty()
    proxy = start_proxy(
        within=OWN_NETWORK + AS_USER, environment=ENVIRONMENT, arguments=["--app", "hello:app"], stderr=theirs, ready=False)
    os.close(theirs)
    text = b""
    while b"Ready in" not in text:
        text += os.read(terminal, 65536)
    text = text.decode().replace("\r\n", "\n")
    assert "hello.py → app (WSGI)" in text and "/usr/bin/python3" in text
    for url in ("https://localhost:8443", "http://localhost:8080"):
        assert f"  {url}" in text, text
    assert "certificate from your own dev CA" in text
    command = next(line.split() for line in text.split("\n") if line.startswith("  curl "))
    assert command[:2] == ["curl", "--cacert"]
    root = command[2]
    for url in (command[3], "https://localhost:8443/", "https://[::1]:8443/"):
        assert (done := curl(proxy, url, "--cacert", root)).stdout == "hello over https", done.stderr
    assert curl(proxy, "http://localhost:8080/").stdout == "hello over http"
    assert proxy.stop() == 0
    os.close(terminal)


@own_network
@pytest.mark.parametrize("user, secure, plain", [(0, "", ""), (USER, ":8443", ":8080")])
def test_auto_takes_the_usual_ports_where_it_may(start_proxy, place, user, secure, plain):
    within = OWN_NETWORK + (AS_USER if user else [])
    proxy = start_proxy("listen: auto\ntls: { dev_ca: true }\n" + DEMO, within=within)
    ports = sorted({url.rsplit(":", 1)[1].strip("/") for url in proxy.urls})
    assert ports == sorted([secure.strip(":") or "443", plain.strip(":") or "80"])
    assert {url.split("://")[1].rsplit(":", 1)[0] for url in proxy.urls} == {"localhost"}
    said = [notice["text"] for notice in proxy.events("notice") if "listen: auto" in notice["text"]]
    assert len(said) == 1 and all(port in said[0] for port in ports)
    root = str(place / "state/ca/root.pem")
    for host in ("127.0.0.1", "[::1]", "localhost"):
        answer = json.loads(curl(proxy, f"https://{host}{secure}/worker", "--cacert", root).stdout)
        assert answer["scheme"] == "https"
        assert json.loads(curl(proxy, f"http://{host}{plain}/worker").stdout)["scheme"] == "http"
    # Loopback only: nothing else answers.
    proxy.reload()
    assert curl(proxy, f"http://localhost{plain}/worker").returncode == 0
    with open(f"/proc/{proxy.pid}/net/tcp") as file:
        listening = {line.split()[1].split(":")[0] for line in file.readlines()[1:] if line.split()[3] == "0A"}
    assert listening == {"0100007F"}


# A process of its own has the port, until the proxy has ended.
TAKEN = """
import os, socket, sys
read, write = os.pipe()
taken = socket.create_server(("127.0.0.1", 443), reuse_port=%s)
if os.fork() == 0:
    os.close(write)
    os.read(read, 1)
    os._exit(0)
os.set_inheritable(write, True)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@own_network
@pytest.mark.parametrize("shared", [False, True])
def test_auto_leaves_the_usual_ports_that_are_taken(start_proxy, place, shared):
    # Also where the other one, of the same user, would let us share its port.
    taken = ["/usr/bin/python3", "-c", TAKEN % shared]
    proxy = start_proxy("listen: auto\ntls: { dev_ca: true }\n" + DEMO, within=OWN_NETWORK + taken)
    assert {url.rsplit(":", 1)[1].strip("/") for url in proxy.urls} == {"8443", "8080"}
    assert json.loads(curl(proxy, "http://localhost:8080/worker").stdout)["scheme"] == "http"


@own_network
def test_auto_keeps_its_ports_over_a_reload(start_proxy, place):
    proxy = start_proxy("listen: auto\ntls: { dev_ca: true }\n" + DEMO, within=OWN_NETWORK)
    for _ in range(3):
        proxy.reload()
        assert [listener["url"] for listener in proxy.status()["listeners"]] == proxy.urls
        assert json.loads(curl(proxy, "http://localhost/worker").stdout)["scheme"] == "http"


def test_a_venv_without_an_interpreter_is_said(start_proxy, place):
    (place / ".venv").mkdir()
    proxy = start_proxy(
        within=AS_USER, environment=ENVIRONMENT, arguments=["--app", "hello:app", "--listen", "http://127.0.0.1:0"])
    assert proxy.get().text == "hello over http"
    assert f"no bin/python in {place}/.venv" in proxy.event("notice")["text"]
