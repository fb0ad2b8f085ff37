"""What is stopped, stuck or cannot be started holds neither the proxy nor its end up."""

import os
import signal
import subprocess

import pytest

from harness import processes, request
from harness.wire import until

APP = "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n"


def service(folder, source=APP, workers=1, more=""):
    (folder / "stuck.py").write_text(source)
    return f"services: {{ web: {{ app: 'stuck:app', dir: {folder}, python: /usr/bin/python3, workers: {workers}{more} }} }}"


def zygote_of(proxy):
    """The process that forks the workers of `web`: their parent."""
    return processes.all_processes()[proxy.endpoints("web")[0]["pid"]].parent


def all_ready(proxy, unlike):
    workers = proxy.endpoints("web")
    return all(each["state"] == "ready" and each["pid"] != unlike for each in workers)


# Zygotes

def stop_while_it_forks(proxy):
    """A zygote that has been asked for a worker, and is stopped."""
    zygote, worker = zygote_of(proxy), proxy.endpoints("web")[0]["pid"]
    os.kill(zygote, signal.SIGSTOP)
    proxy.kill(worker)
    until(lambda: proxy.endpoints("web")[0]["state"] == "starting", "a worker that is asked for")
    return zygote


def test_a_stopped_zygote_does_not_hold_the_end_up(start_proxy, folder):
    proxy = start_proxy(service(folder))
    zygote = stop_while_it_forks(proxy)
    assert proxy.stop() == 0
    proxy.event("zygote_stuck", pid=zygote)
    until(lambda: not processes.is_alive(zygote), "the end of the zygote")


def test_a_stopped_zygote_that_nobody_needs_ends_with_the_proxy(start_proxy, folder):
    proxy = start_proxy(service(folder))
    zygote = zygote_of(proxy)
    os.kill(zygote, signal.SIGSTOP)
    assert proxy.stop() == 0
    until(lambda: not processes.is_alive(zygote), "the end of the zygote")
    assert proxy.events("zygote_stuck") == []


def test_a_stopped_zygote_is_replaced_when_a_worker_is_not_ready_in_time(start_proxy, folder):
    proxy = start_proxy(service(folder, workers=2, more=", timeout: { start: 1s }"))
    zygote = stop_while_it_forks(proxy)
    proxy.event("zygote_exited", pid=zygote)
    until(lambda: all_ready(proxy, None) and zygote_of(proxy) != zygote, "workers of another zygote")
    assert proxy.get("/").text == "hello"


@pytest.mark.parametrize("hangs", ["time.sleep(3600)", "os.kill(os.getpid(), signal.SIGSTOP)"])
def test_an_import_that_hangs_ends_the_start_in_time(start_proxy, folder, hangs):
    source = f"import os, signal, time\n{hangs}\n" + APP
    proxy = start_proxy(service(folder, source, more=", timeout: { start: 1500ms }"), ready=False)
    assert proxy.finished() == 1
    assert "services.web: stuck:app was not imported within 1500 ms (timeout.start)" in proxy.lines[-2]


# Signals during the start

def test_usr2_during_the_start_rolls_the_workers_when_it_is_over(start_proxy, folder):
    gate = folder / "gate"
    proxy = start_proxy(service(folder, f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n" + APP),
                        ready=False)
    until(lambda: any("zygote" in each.arguments for each in processes.descendants(proxy.pid)), "an interpreter")
    proxy.signal(signal.SIGUSR2)
    proxy.event("roll_postponed")
    gate.write_text("")
    first = proxy.event("worker_ready")["pid"]
    proxy.event("rolled", service="web")
    proxy.ready()
    until(lambda: all_ready(proxy, first), "another worker")
    assert len(proxy.events("app_imported")) == 2


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_while_the_configuration_is_read_are_kept_for_later(start_proxy, folder, number):
    # The interpreter is tried before the proxy begins.
    place = folder / "place"
    place.mkdir()
    place.chmod(0o777)
    (folder / "python").write_text(
        f"#!/bin/sh\n: > {place}/reached\nwhile [ ! -e {place}/gate ]; do sleep 0.01; done\nexec /usr/bin/python3 \"$@\"\n")
    (folder / "python").chmod(0o755)
    proxy = start_proxy(service(folder).replace("/usr/bin/python3", f"{folder}/python"), ready=False)
    until(lambda: (place / "reached").exists(), "a trial of the interpreter")
    proxy.signal(number)
    (place / "gate").write_text("")
    proxy.ready()
    proxy.event({signal.SIGHUP: "config_reloaded", signal.SIGUSR1: "logs_reopened", signal.SIGUSR2: "rolled"}[number])


# Plug-ins

def test_what_plugins_have_started_ends_with_a_stop_at_once(start_proxy):
    proxy = start_proxy("""
        services: { demo: { demo: true, workers: 1 } }
        plugins: [{ name: helped, command: [/bin/sh, -c, "sleep 1000 & echo helper $!; exec sleep 2000"] }]
    """)
    until(lambda: "helper " in proxy.errors, "the helper")
    line = next(each["text"] for each in proxy.events("output") if each["text"].startswith("helper "))
    helper = int(line.split()[1])
    with proxy.client() as client:
        client.send(request("/sleep?seconds=60"))
        until(lambda: proxy.endpoints("demo")[0]["in_flight"], "the request")
        proxy.signal(signal.SIGTERM)
        proxy.event("stopping")
        proxy.signal(signal.SIGTERM)
        assert proxy.finished() == 0
    until(lambda: not processes.is_alive(helper), "the end of the helper")


# Descriptors

@pytest.mark.parametrize("room", range(0, 30, 5))
def test_edges_that_cannot_be_started_fail_a_reload_and_nothing_else(start_proxy, room):
    # So many listeners that their sockets are more than the least that a configuration asks for.
    listeners = ", ".join(["'http://127.0.0.1:0'"] * 60)
    proxy = start_proxy(f"""
        listen: [{listeners}]
        limits: {{ connections: 20 }}
        services: {{ demo: {{ demo: true, workers: 2 }} }}
    """)
    edges = [edge["pid"] for edge in proxy.edges()]
    limit = max(map(int, os.listdir(f"/proc/{proxy.pid}/fd"))) + 1
    limit = min(limit, len(os.listdir(f"/proc/{proxy.pid}/fd")) + 60 + room)
    subprocess.run(["prlimit", f"--pid={proxy.pid}", f"--nofile={limit}:{limit}"], check=True)
    answer = proxy.command("reload")
    assert not answer["ok"] and "new edges did not start" in answer["error"], answer
    assert [edge["pid"] for edge in proxy.edges()] == edges
    assert proxy.get("/worker").status == 200
