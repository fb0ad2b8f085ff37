"""Part 2 and contract section 1: every error in one pass, each with its place and its cure."""

import json
import os
import re
import stat
import subprocess

import pytest

from harness import run_proxy
from harness.proxy_process import TREE

GOOD = 'listen: ["http://127.0.0.1:0"]\nservices: { demo: { demo: true } }\n'
LISTEN = 'listen: ["http://127.0.0.1:0"]\n'


def check(folder, text, *arguments, environment=None):
    (folder / "demo.yaml").write_text(text)
    return run_proxy("-t", "--conf", "demo.yaml", *arguments, folder=folder, environment=environment)


def test_a_good_file(folder):
    done = check(folder, GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "demo.yaml: ok\n", "")


def test_all_errors_come_in_one_pass_with_their_places(folder):
    done = check(folder, 'listen: ["http://127.0.0.1:0"]\nservices:\n  demo:\n    demo: true\n    worker: 4\n    balance: round\ntimeuot: {}\n')
    assert done.returncode == 78 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "demo.yaml:5:5: error: services.demo.worker: unknown key; did you mean workers?"
    assert lines[1].startswith("demo.yaml:6:14: error: services.demo.balance: ")
    assert "round-robin" in lines[1]
    assert lines[2] == "demo.yaml:7:1: error: timeuot: unknown key; did you mean timeout?"
    assert lines[3:] == ["3 errors"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root starts apps as somebody else")
def test_an_interpreter_that_the_apps_user_cannot_use_is_named_with_its_cure(folder):
    closed = folder / "closed"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(closed / "venv")], check=True)
    (folder / "hello.py").write_text("def app(environ, start_response): pass\n")

    def told(**keys):
        more = "".join(f", {key}: {value}" for key, value in keys.items())
        return check(folder, LISTEN + f"services: {{ web: {{ app: 'hello:app', python: closed/venv{more} }} }}\n")
    assert told().returncode == 0
    closed.chmod(0o700)
    done = told()
    assert done.returncode == 78
    assert re.match(r"demo\.yaml:2:\d+: error: services\.web\.python: ", done.stderr)
    assert f"{closed}/venv/bin/python cannot be used by nobody" in done.stderr
    assert f"{closed} is closed to it (mode 700)" in done.stderr and "set user" in done.stderr
    assert told(user="root").returncode == 0
    # What it imports from counts as well.
    closed.chmod(0o755)
    packages = next((closed / "venv" / "lib").glob("*/site-packages"))
    packages.chmod(0o700)
    done = told()
    assert done.returncode == 78 and "its packages cannot be read" in done.stderr
    assert told(user="root").returncode == 0


def test_errors_as_json(folder):
    done = check(folder, "services:\n  demo: { demo: true, worker: 4 }\n" + LISTEN, "--json")
    assert done.returncode == 78
    listed = json.loads(done.stdout)
    assert [list(entry) for entry in listed] == [["file", "line", "column", "severity", "key", "message", "suggestion"]]
    assert listed[0]["file"] == "demo.yaml" and (listed[0]["line"], listed[0]["column"]) == (2, 23)
    assert (listed[0]["severity"], listed[0]["key"], listed[0]["suggestion"]) == ("error", "services.demo.worker", "workers")
    good = check(folder, GOOD, "--json")
    assert (good.returncode, json.loads(good.stdout)) == (0, [])


# Name: the text, the place of the error, and words its line has to have.
ERRORS = {
    "an empty file": ("", "1:1", []),
    "only a comment": ("# nothing\n", "1:1", []),
    "a tab": (LISTEN + "services:\n\tdemo: { demo: true }\n", "3:1", ["tab"]),
    "no YAML": (LISTEN + "services: { demo: \n", None, []),
    "a key twice": (GOOD + "edges: 1\nedges: 2\n", None, ["edges", "twice"]),
    "an alias": (LISTEN + "services: { a: &x { demo: true }, b: *x }\n", None, ["alias"]),
    "a merge key": (LISTEN + "services: { a: { <<: { demo: true } } }\n", None, ["merge"]),
    "a tag": (LISTEN + "services: { a: { demo: !!bool true } }\n", None, ["tag"]),
    "yes": (LISTEN + "services: { a: { demo: yes } }\n", "2:24", ["true"]),
    "off": (GOOD + "tls: { dev_ca: off }\n", "3:16", ["false"]),
    "no unit": (GOOD + "timeout: { header: 10 }\n", "3:20", ["10s"]),
    "a bad unit": (GOOD + "timeout: { header: 10sec }\n", "3:20", ["10s"]),
    "a size with KB": (GOOD + "limits: { body: 10KB }\n", "3:17", ["KiB"]),
    "a list for a map": (LISTEN + "services: [demo]\n", "2:11", ["services"]),
    "a map for a value": (GOOD + "edges: {}\n", "3:8", ["edges"]),
    "no kind of service": (LISTEN + "services:\n  web: { workers: 2 }\n", "3:", ["app", "command", "upstreams", "demo"]),
    "two kinds of service": (LISTEN + 'services:\n  web:\n    demo: true\n    app: "a:b"\n', "5:5", ["demo", "app", "4"]),
    "a route to nobody": (GOOD + "routes: [{ to: dmeo }]\n", "3:", ["dmeo", "demo"]),
    "consistent-hash without hash": (LISTEN + "services: { a: { demo: true, balance: consistent-hash } }\n", "2:", ["hash"]),
    "all weights 0": (LISTEN + 'services: { a: { upstreams: [{ url: "http://a:1", weight: 0 }] } }\n', "2:", ["weight"]),
    "no workers": (LISTEN + "services: { a: { demo: true, workers: 0 } }\n", "2:39", ["workers", "1"]),
    "an app without a colon": (LISTEN + "services: { a: { app: shop } }\n", "2:23", [":"]),
    "a folder that is not there": (LISTEN + "services: { a: { app: 'a:b', dir: /nonexistent } }\n", "2:35", ["/nonexistent"]),
    "an interpreter that is not there": (
        LISTEN + "services: { a: { app: 'a:b', python: /nonexistent/python } }\n", "2:38", ["/nonexistent/python"]),
    "an unset variable": (GOOD + 'admin: { socket: "${NOT_SET_ANYWHERE}/x.sock" }\n', "3:18", ["NOT_SET_ANYWHERE"]),
    "a bad listen URL": ("listen: ['ftp://127.0.0.1']\nservices: { demo: { demo: true } }\n", "1:10", ["http"]),
    "https without a certificate": ("listen: ['https://127.0.0.1:0']\nservices: { demo: { demo: true } }\n", None, ["certificate"]),
    "nobody listens": ("services: { demo: { demo: true } }\n", None, ["listen"]),
    "no services": (LISTEN, None, ["services"]),
    "a bad network": (GOOD + "trusted_proxies: [10.0.0.0/33]\n", "3:19", ["10.0.0.0/33"]),
    "a key of a later version": (LISTEN + "services: { a: { demo: true, recycle: { requests: 10 } } }\n", None, ["known, not in this version"]),
    "a socket path too long": (GOOD + f"admin: {{ socket: /tmp/{'x' * 120}.sock }}\n", "3:18", ["107"]),
    "a signal nobody raises": (GOOD + "plugins: [{ name: a, command: [cat], events: [request_finishd] }]\n", None, ["request_finished"]),
    "a filter that cannot be read": (
        GOOD + "plugins: [{ name: a, command: [cat], filter: 'status >' }]\n", "3:46", ["filter"]),
    "a plug-in without a command": (GOOD + "plugins: [{ name: a }]\n", "3:", ["command"]),
    "a listener twice": ("listen: ['http://127.0.0.1:8080', 'http://127.0.0.1:8080']\nservices: { demo: { demo: true } }\n", "1:", ["8080"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_names_its_place_and_its_cure(folder, name):
    text, place, words = ERRORS[name]
    done = check(folder, text)
    assert done.returncode == 78, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    assert errors and all(re.match(r"demo\.yaml:\d+:\d+: error: ", line) for line in errors), done.stderr
    fitting = [line for line in errors if all(word in line for word in words)
               and (place is None or line.startswith(f"demo.yaml:{place}"))]
    assert fitting, done.stderr


@pytest.mark.parametrize("name", ["an empty file", "no kind of service", "a tab"])
def test_a_start_with_a_bad_file_fails_the_same_way(folder, name):
    (folder / "demo.yaml").write_text(ERRORS[name][0])
    done = run_proxy("--conf", "demo.yaml", folder=folder)
    assert done.returncode == 78 and "demo.yaml:" in done.stderr


def test_a_service_no_route_reaches_is_a_warning(folder):
    done = check(folder, LISTEN + "services: { a: { demo: true }, lonely: { demo: true } }\nroutes: [{ to: a }]\n")
    assert done.returncode == 0
    assert "warning" in done.stderr and "lonely" in done.stderr


def test_several_services_without_routes_are_warned_of(folder):
    done = check(folder, LISTEN + "services: { a: { demo: true }, b: { demo: true } }\n")
    assert done.returncode == 0
    assert done.stderr.count("warning: services.") == 2


def test_variables_are_filled_in(folder):
    text = GOOD + 'admin: { socket: "${PLACE}/a.sock" }\nlogs: { access: { path: "${MISSING:-/tmp}/access.json" } }\n'
    (folder / "demo.yaml").write_text(text)
    done = run_proxy("-T", "--conf", "demo.yaml", folder=folder, environment={"PLACE": "/run/there"})
    assert done.returncode == 0, done.stderr
    assert "/run/there/a.sock" in done.stdout and "/tmp/access.json" in done.stdout


@pytest.mark.parametrize("flag", ["-T", "--print-config"])
def test_the_effective_config_is_a_config(folder, flag):
    (folder / "demo.yaml").write_text(GOOD + "timeout: { idle: 90s }\n")
    shown = run_proxy(flag, "--conf", "demo.yaml", folder=folder)
    assert shown.returncode == 0, shown.stderr
    assert "idle: 90s" in shown.stdout and "header: 10s" in shown.stdout
    (folder / "again.yaml").write_text(shown.stdout)
    again = run_proxy(flag, "--conf", "again.yaml", folder=folder)
    assert again.returncode == 0, again.stderr
    assert again.stdout.replace("again.yaml", "demo.yaml") == shown.stdout


def test_relative_paths_are_relative_to_the_file(folder):
    (folder / "sub").mkdir()
    (folder / "sub/demo.yaml").write_text(GOOD + "logs: { access: { path: access.json } }\n")
    done = run_proxy("-T", "--conf", "sub/demo.yaml", folder=folder)
    assert f"{folder}/sub/access.json" in done.stdout


def test_the_manual_knows_every_key(folder):
    whole = run_proxy("manual", folder=folder)
    assert whole.returncode == 0
    for key in ("listen", "timeout.handshake", "limits.body", "tls.certificates", "services.*.upstreams", "plugins", "logs.access"):
        assert key.split(".")[-1] in whole.stdout
    one = run_proxy("manual", "timeout.idle", folder=folder)
    assert one.returncode == 0 and "60s" in one.stdout
    assert run_proxy("manual", "timeout.idel", folder=folder).returncode != 0


def test_the_schema_is_json(folder):
    done = run_proxy("manual", "--schema", folder=folder)
    assert done.returncode == 0
    assert "services" in json.loads(done.stdout)["properties"]


@pytest.mark.parametrize("name", ["demo.yaml", "flask.yaml", "upstreams.yaml"])
def test_the_examples_are_right(folder, name):
    """What they name beside the proxy, an app and its certificate, is made here; each must pass as it stands."""
    assert (TREE / "conf" / name).is_file()
    done = run_proxy("-t", "--conf", str(TREE / "conf" / name), folder=folder)
    if done.returncode == 0:
        assert done.stdout.endswith(": ok\n")
    else:
        # An example may name files of a production machine; nothing else may be wrong with it.
        errors = [line for line in done.stderr.splitlines() if ": error: " in line]
        assert errors and all(re.search(r"/(srv|etc)/", line) for line in errors), done.stderr


def test_an_unreadable_file(folder):
    (folder / "demo.yaml").write_text(GOOD)
    os.chmod(folder / "demo.yaml", 0)
    if os.getuid() == 0:
        done = run_proxy("-t", "--conf", "demo.yaml", folder=folder, user=65534, group=65534, extra_groups=[])
    else:
        done = run_proxy("-t", "--conf", "demo.yaml", folder=folder)
    assert done.returncode in (77, 78) and "demo.yaml" in done.stderr
    assert stat.S_IMODE(os.stat(folder / "demo.yaml").st_mode) == 0
