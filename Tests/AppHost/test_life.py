"""The life of zygote and workers, as the master sees it."""

import array
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

import pytest

from conftest import APPS, PYTHONS
from master import SECONDS_MAX, Gone, Zygote, head


def state(pid):
    """The letter of /proc: R runs, S sleeps in the kernel, Z is dead; None: there is none."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def wait_for(condition):
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(params=[1, 3])
def pool(request, start):
    zygote = start("pages:app", threads=request.param)
    zygote.threads = request.param
    zygote.imported()
    return zygote


def test_the_zygote_says_what_it_found(start):
    found = start("pages:app").imported()
    assert found["interface"] == "wsgi"
    assert found["description"] == "pages.py → app (WSGI)"
    assert found["warnings"] == [] and found["seconds"] > 0


def test_two_workers_do_not_share_globals(pool):
    one, two = pool.fork(1), pool.fork(2)
    assert one.pid != two.pid
    assert [one.get("/count").text for _ in range(3)] == ["%d %d" % (one.pid, n) for n in (1, 2, 3)]
    assert two.get("/count").text == "%d 1" % two.pid


def test_a_worker_without_several_threads_has_one(start):
    zygote = start("pages:app", threads=1)
    zygote.imported()
    assert len(os.listdir("/proc/%d/task" % zygote.fork().pid)) == 1


def descriptors(pid, kind):
    """What of a kind the process has open."""
    folder = "/proc/%d/fd" % pid
    found = []
    for each in os.listdir(folder):
        try:
            found.append(os.readlink(os.path.join(folder, each)))
        except FileNotFoundError:
            pass
    return [each for each in found if each.startswith(kind)]


def test_a_worker_keeps_only_its_own_descriptors(pool):
    workers = [pool.fork(number) for number in (1, 2, 3)]
    for worker in workers:
        worker.get()
        # The listening socket and the control channel, once the connection is closed.
        wait_for(lambda: len(descriptors(worker.pid, "socket:")) == 2)
        assert len(descriptors(worker.pid, "/memfd:")) == 1  # mmap keeps a copy
        outputs = descriptors(worker.pid, "pipe:")
        assert descriptors(pool.process.pid, "pipe:")[0] not in outputs
    assert len(descriptors(pool.process.pid, "socket:")) == 1


def test_a_dead_workers_socket_refuses(pool):
    worker = pool.fork()
    worker.kill(signal.SIGKILL)
    assert worker.ended() == signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        worker.connect()


def test_exits_are_told_with_who_it_was(pool):
    pool.fork(1, 1)
    two = pool.fork(2, 7)
    two.kill(signal.SIGKILL)
    found = pool.end.expect("exited")
    assert found == {"event": "exited", "worker": 2, "incarnation": 7, "pid": two.pid,
                     "status": signal.SIGKILL}


def test_the_end_of_its_channel_ends_a_worker(pool):
    worker = pool.fork()
    worker.end.close()
    assert worker.ended() == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_the_end_of_its_channel_ends_a_busy_worker(start, threads):
    zygote = start("pages:app", threads=threads)
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    edge.send(head(target="/sleep?seconds=60"))
    worker.expect_busy([0])
    wait_for(lambda: state(worker.pid) == "S")
    worker.end.close()
    assert worker.ended() == 0
    edge.close()


def test_the_end_of_the_zygote_ends_no_worker(pool):
    worker = pool.fork()
    pool.process.kill()
    pool.process.wait(SECONDS_MAX)
    assert worker.get().text == "hello"
    worker.end.close()
    wait_for(lambda: state(worker.pid) in (None, "Z"))


def test_the_end_of_its_channel_ends_the_zygote_and_no_worker(pool):
    worker = pool.fork()
    pool.end.close()
    assert pool.process.wait(SECONDS_MAX) == 0
    assert worker.get().text == "hello"
    worker.end.close()
    wait_for(lambda: state(worker.pid) in (None, "Z"))


def test_the_end_of_its_channel_ends_a_zygote_that_imports(start, site):
    folder = site(slow="import time\nopen('begun', 'w').close()\ntime.sleep(60)\n")
    zygote = start("slow:app", folder)
    wait_for((folder / "begun").exists)
    wait_for(lambda: state(zygote.process.pid) == "S")
    zygote.end.close()
    assert zygote.process.wait(SECONDS_MAX) == 0


@pytest.mark.parametrize("how", ["command", "signal"])
def test_drain_answers_what_is_in_hand(pool, how):
    worker = pool.fork()
    busy, waiting, idle = worker.connect(), worker.connect(), worker.connect()
    assert idle.get().text == "hello"
    busy.send(head(target="/sleep?seconds=0.5"))
    worker.expect_busy([0])
    if pool.threads == 1:
        waiting.send(head(target="/count"))  # it lies there until the only thread is free
    worker.end.send(command="drain") if how == "command" else worker.kill()
    assert busy.read().text == "slept"
    if pool.threads == 1:
        answer = waiting.read()
        assert answer.text.endswith(" 1") and answer.field("connection") == "close"
    assert worker.ended() == 0
    assert idle.is_closed() and busy.is_closed()
    with pytest.raises(ConnectionRefusedError):
        worker.connect()
    for edge in (busy, waiting, idle):
        edge.close()


def test_drain_takes_in_who_has_connected(pool):
    worker = pool.fork()
    edges = [worker.connect() for _ in range(20)]
    worker.kill(signal.SIGSTOP)
    late = [worker.connect() for _ in range(20)]
    for edge in edges + late:
        edge.send(head())
    worker.kill(signal.SIGTERM)
    worker.kill(signal.SIGCONT)
    for edge in edges + late:
        assert edge.read().text == "hello"
        edge.close()
    assert worker.ended() == 0


def test_an_idle_worker_drains_at_once(pool):
    worker = pool.fork()
    worker.end.send(command="drain")
    assert worker.ended() == 0


def test_drain_under_load_answers_or_refuses_every_request(pool):
    """No request is taken and not answered: the edge knows for each whether to send it again."""
    worker = pool.fork()
    lost, answered = [], []

    def load():
        while True:
            try:
                edge = worker.connect()
            except OSError:
                return
            try:
                while True:
                    try:
                        edge.send(head())
                    except BrokenPipeError:
                        break  # nothing was taken: another worker gets it
                    try:
                        answer = edge.read()
                        answered.append(1)
                        if answer.field("connection") == "close":
                            break
                    except (Gone, ConnectionResetError):
                        lost.append(1)
                        return
            finally:
                edge.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answered) > 200)
    worker.end.send(command="drain")
    for thread in threads:
        thread.join(SECONDS_MAX)
    assert worker.ended() == 0
    assert not lost


def test_drain_leaves_no_gap_between_the_last_look_and_the_end(pool):
    """Requests sent while a drain ends on many idle connections: each is refused or answered."""
    for number in range(1, 4):
        worker = pool.fork(number)
        edges = [worker.connect() for _ in range(400)]
        for edge in edges:
            edge.get()
        request, sent = head(), []
        worker.kill()
        for edge in reversed(edges):
            try:
                edge.send(request)
                sent.append(edge)
                time.sleep(0)  # so that the worker is not behind, and ends in the midst of this
            except BrokenPipeError:
                pass
        for edge in sent:
            assert edge.read().text == "hello"
        for edge in edges:
            edge.close()
        assert worker.ended() == 0


def test_drain_takes_a_request_that_is_being_sent(start):
    """Its head has come, its body is longer than a socket holds: the rest may still be sent."""
    zygote = start("pages:app")
    zygote.imported()
    worker = zygote.fork()
    busy, sending = worker.connect(), worker.connect()
    busy.send(head(target="/sleep?seconds=0.5"))
    worker.expect_busy([0])
    body = b"x" * 2_000_000
    request = head("POST", "/upload", [("content-length", str(len(body)))]) + body
    thread = threading.Thread(target=sending.send, args=(request,))
    thread.start()
    wait_for(lambda: fills(sending.socket))
    worker.kill()
    assert busy.read().text == "slept"
    assert sending.read().text.startswith("2000000 ")
    thread.join(SECONDS_MAX)
    assert worker.ended() == 0
    busy.close(), sending.close()


def fills(sock):
    """Whether what was sent lies in the kernel, unread (SIOCOUTQ)."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, count)
    return count[0] > 50000


def test_many_idle_connections_starve_nobody(pool):
    worker = pool.fork()
    edges = [worker.connect() for _ in range(200)]
    for edge in edges:
        assert edge.get().text == "hello"
    for edge in reversed(edges):
        edge.send(head())
    for edge in edges:
        assert edge.read().text == "hello"
    half = edges[0]
    half.send(head()[:-2])  # a head that does not end holds nobody either
    for edge in edges[1:]:
        assert edge.get().text == "hello"
    half.send(b"\r\n")
    assert half.read().text == "hello"
    for edge in edges:
        edge.close()


def test_threads_work_at_once_each_on_its_place(start):
    zygote = start("pages:app", threads=3)
    zygote.imported()
    worker = zygote.fork()
    edges = [worker.connect() for _ in range(4)]
    for place, edge in enumerate(edges):
        edge.send(head(target="/sleep?seconds=1", place=place * 10))
    worker.expect_busy([0, 10, 20])  # the fourth waits for a thread, and is not read meanwhile
    for edge in edges:
        assert edge.read().text == "slept"
        edge.close()
    worker.expect_busy([])


def test_costs_are_told(pool):
    worker = pool.fork()
    edge = worker.connect()
    for _ in range(7):
        edge.get()
    edge.get("/sleep?seconds=0.2")
    edge.close()
    while True:
        found = worker.end.expect("cost")
        if found["requests"] == 8:
            break
    assert 0.2 <= found["busy_seconds"] < 5 and found["rss_bytes"] > 1 << 20


def test_a_master_that_does_not_read_holds_nobody(start):
    zygote = start("pages:app")
    zygote.imported()
    worker = zygote.fork()
    worker.end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(3):
        assert worker.get().text == "hello"


def test_a_worker_that_exits_in_a_request_is_told(pool, site):
    zygote = Zygote("ends:app", site(ends='''
import os

def app(environ, start_response):
    os._exit(5)
'''))
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    with pytest.raises((Gone, ConnectionResetError)):
        edge.get()
    assert worker.ended() == 5 << 8
    edge.close()
    zygote.close()


@pytest.mark.parametrize("number", [
    signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
def test_the_terminals_signals_are_the_masters(pool, number):
    worker = pool.fork()
    worker.kill(number)
    os.kill(pool.process.pid, number)
    assert worker.get().text == "hello"
    assert pool.fork(2).get().text == "hello"


def test_stacks_are_printed_on_a_signal(pool, tmp_path):
    worker = pool.fork()
    edge = worker.connect()
    edge.send(head(target="/stuck?file=%s" % (tmp_path / "go")))
    # A busy place alone does not say that the app has been called yet.
    assert "stuck here" in worker.read_output(b"stuck here")
    worker.kill(signal.SIGRTMIN)
    assert "in page_stuck" in worker.read_output(b"in page_stuck")
    (tmp_path / "go").touch()
    assert edge.read().text == "free"
    edge.close()


def test_exit_handlers_run_at_the_end_of_a_drain(start, site):
    zygote = start("tidy:app", site(tidy='''
import atexit

atexit.register(print, "tidied up")

def app(environ, start_response):
    start_response("200 OK", [])
    return []
'''))
    zygote.imported()
    worker = zygote.fork()
    worker.kill()
    assert worker.ended() == 0
    assert "tidied up" in worker.read_output(b"tidied up")


def test_a_child_of_the_app_keeps_no_connection_open(start, site):
    """A forked child has copies of all descriptors; closed ones must not be polled for ever."""
    zygote = start("forks:app", site(forks='''
import os, time

def app(environ, start_response):
    answer = b"ok"
    if environ["PATH_INFO"] == "/fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        answer = str(pid).encode()
    start_response("200 OK", [])
    return [answer]
'''))
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    child = int(edge.get("/fork").text)
    edge.close()
    assert worker.get("/").text == "ok"
    wait_for(lambda: state(worker.pid) == "S")
    seen = []
    for _ in range(20):
        seen.append(state(worker.pid))
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert seen.count("S") > 15, "it turns round and round"


def test_a_timeout_for_all_sockets_is_not_for_ours(start, site):
    zygote = start("hasty:app", site(hasty='''
import socket

socket.setdefaulttimeout(0.05)

def app(environ, start_response):
    data = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [data]
'''))
    zygote.imported()
    edge = zygote.fork().connect()
    edge.send(head("POST", fields=[("content-length", "4")]) + b"12")
    time.sleep(0.2)
    edge.send(b"34")
    assert edge.read().text == "1234"
    edge.close()


def test_threads_of_python_3_12_warn_nobody(start, site):
    zygote = start("threaded:app", site(threaded='''
import threading, time

threading.Thread(target=time.sleep, args=(60,), daemon=True, name="ticker").start()

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
'''))
    assert "started a thread while it was imported (ticker)" in zygote.imported()["warnings"][0]
    worker = zygote.fork()
    assert worker.get().text == "ok"


def test_connections_made_at_import_are_named(start, site):
    server = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    folder = site(linked='''
import os, socket, asyncio

db = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
cache = socket.socket(socket.AF_UNIX)
cache.connect(os.environ["CACHE"])
statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
statsd.connect(("127.0.0.1", 8125))
own = socket.create_server(("127.0.0.1", 0))
loop = asyncio.new_event_loop()

def app(environ, start_response):
    start_response("200 OK", [])
    return []
''')
    unix.bind(str(folder / "cache.sock"))
    unix.listen(1)
    port = server.getsockname()[1]
    zygote = start("linked:app", folder, environment={
        "PORT": str(port), "CACHE": str(folder / "cache.sock")})
    found = zygote.imported()["warnings"]
    assert found[:2] == [
        "the app opened a connection to 127.0.0.1:%d while it was imported; all workers would "
        "share it: open it when it is first used" % port,
        "the app opened a connection to %s while it was imported; all workers would share it: open "
        "it when it is first used" % (folder / "cache.sock")]
    assert len(found) == 3 and found[2].startswith("the app listens on 127.0.0.1:")
    server.close()
    unix.close()


def test_modules_are_found_as_python_would(start, site):
    folder = site(**{"shop/__init__": "", "shop/wsgi": '''
import os, sys
import signals, body, helper

def app(environ, start_response):
    start_response("200 OK", [])
    return [repr((os.getcwd(), sys.path[0], signals.mine, body.mine, helper.mine)).encode()]
''', "signals": "mine = 1", "body": "mine = 2", "helper": "mine = 3"})
    zygote = start("shop.wsgi:app", folder)
    assert zygote.imported()["description"] == "shop/wsgi.py → app (WSGI)"
    assert eval(zygote.fork().get().text) == (str(folder), str(folder), 1, 2, 3)


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_that_is_here(python):
    zygote = Zygote("pages:app", APPS, threads=2, python=python)
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    assert edge.get("/upload", "POST", b"x" * 200000).text.startswith("200000 ")
    assert edge.get("/file?size=70000&kind=file").complete
    assert edge.get("/raise").status == 500
    assert json.loads(edge.get("/environ").body)["REQUEST_METHOD"] == "GET"
    edge.close()
    worker.kill()
    assert worker.ended() == 0
    zygote.close()
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Python 3.")
