"""Part 3 and 8: `kill -9` of edges and workers; the others never notice, and everything is put right."""

import os
import select
import signal
import socket
import threading

import pytest

from harness import Load, held, processes, request
from harness.wire import Closed, until

DEMO = "services: { demo: { demo: true, workers: 2 } }"


def all_ready(proxy, service="demo"):
    return all(endpoint["state"] == "ready" for endpoint in proxy.endpoints(service))


def pids(proxy, service="demo"):
    return [endpoint["pid"] for endpoint in proxy.endpoints(service)]


def test_a_killed_edge_is_replaced(start_proxy):
    proxy = start_proxy(DEMO)
    before = {edge["edge"]: edge["pid"] for edge in proxy.edges()}
    proxy.kill(before[0])
    until(lambda: {edge["pid"] for edge in proxy.edges() if edge["state"] == "ready"} - set(before.values()), "a new edge")
    after = {edge["edge"]: edge for edge in proxy.edges()}
    assert after[1]["pid"] == before[1] and after[1]["restarts"] == 0
    assert after[0]["restarts"] == 1
    for _ in range(40):
        assert proxy.get("/worker").status == 200


def test_connections_in_the_killed_edges_queue_wait_for_the_next(start_proxy):
    # SIGSTOP keeps it from accepting, so that connections wait in the kernel when it is killed.
    proxy = start_proxy("edges: 1\n" + DEMO)
    edge = proxy.edges()[0]["pid"]
    os.kill(edge, signal.SIGSTOP)
    waiting = [proxy.client() for _ in range(20)]
    for client in waiting:
        client.send(request("/worker"))
    proxy.kill(edge)
    for client in waiting:
        assert client.response().status == 200
        client.close()


def test_edges_killed_under_load_lose_only_what_they_had_in_hand(start_proxy):
    proxy = start_proxy(DEMO)
    load = Load(proxy, clients=6)
    kills = 5
    for _ in range(kills):
        load.more(60)
        proxy.kill(proxy.edges()[0]["pid"])
        until(lambda: len([edge for edge in proxy.edges() if edge["state"] == "ready"]) == 2, "two edges")
    load.more(100)
    load.stop()
    assert len(load.lost) <= kills * 6, load.lost
    assert set(load.statuses) == {200}
    for endpoint in proxy.endpoints("demo"):
        until(lambda: all(each["in_flight"] == 0 for each in proxy.endpoints("demo")), "no place held by the dead")
        assert endpoint["restarts"] == 0


def test_the_places_of_a_killed_edge_come_back_when_the_worker_is_idle(start_proxy):
    proxy = start_proxy("edges: 2\nservices: { demo: { demo: true, workers: 1 } }")
    clients = {}

    def edge_of(client):
        # The edge whose count of requests goes up is the one that has the connection.
        before = {edge["edge"]: edge["requests"] for edge in proxy.edges()}
        assert client.exchange(request("/worker")).status == 200
        after = {edge["edge"]: edge["requests"] for edge in proxy.edges()}
        return next(number for number in after if after[number] > before[number])
    while len(clients) < 2:
        client = proxy.client()
        number = edge_of(client)
        if number in clients:
            client.close()
        else:
            clients[number] = client
    clients[0].send(request("/sleep?seconds=0.5"))
    until(lambda: proxy.endpoints("demo")[0]["in_flight"] == 1, "the place taken")
    proxy.kill(next(edge["pid"] for edge in proxy.edges() if edge["edge"] == 0))
    with pytest.raises(Closed):
        clients[0].read_head()
    # The worker is still asleep in its place: the next request waits for it, and is served by it.
    answer = clients[1].exchange(request("/worker"))
    assert answer.status == 200
    for client in clients.values():
        client.close()


def test_a_killed_edges_tls_sessions_are_resumed_by_its_successor(start_proxy, authority):
    certificate, key = authority.certificate("localhost")
    proxy = start_proxy(f"""
        edges: 1
        listen: ["https://127.0.0.1:0"]
        tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}] }}
        services: {{ demo: {{ demo: true, workers: 1 }} }}
    """)
    context = authority.client_context()
    with proxy.client(tls=context) as client:
        assert client.exchange(request("/worker")).status == 200
        session = client.connection.session
    old = proxy.edges()[0]["pid"]
    proxy.kill(old)
    until(lambda: proxy.edges()[0]["pid"] != old and proxy.edges()[0]["state"] == "ready", "a new edge")
    raw = socket.create_connection(proxy.address())
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as connection:
        assert connection.session_reused


def test_a_killed_worker_is_replaced_and_its_request_answered_elsewhere(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 2, retry: { attempts: 1, budget: 1.0 } } }")
    with proxy.client() as client:
        client.send(request("/sleep?seconds=0.5"))
        busy = until(lambda: [worker for worker in proxy.endpoints("demo") if worker["in_flight"]], "a busy worker")[0]
        proxy.kill(busy["pid"])
        answer = client.response()
        assert (answer.status, answer.json["worker"]) == (200, 3 - busy["worker"])
    assert proxy.access(1)[0]["retries"] == 1
    until(lambda: all_ready(proxy), "both workers")
    until(lambda: busy["pid"] not in [worker["pid"] for worker in proxy.endpoints("demo")], "its successor")


def test_a_worker_that_is_killed_in_the_midst_of_an_answer_has_died(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 2 } }")
    with proxy.client() as client:
        client.send(request("/stream?count=50&seconds=0.1"))
        client.read_until(b"chunk 1")
        busy = until(lambda: [worker for worker in proxy.endpoints("demo") if worker["in_flight"]], "a busy worker")[0]
        proxy.kill(busy["pid"])
        client.read_to_end()
    line = proxy.access(1)[0]
    assert (line["error"], line["outcome"]) == ("http_response_incomplete", "worker_died")


def test_a_post_in_a_killed_workers_hands_is_a_502_and_never_done_twice(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 2, retry: { attempts: 3, budget: 1.0 } } }")
    with proxy.client() as client:
        client.send(request("/sleep?seconds=0.5", "POST", body=b"x"))
        busy = until(lambda: [worker for worker in proxy.endpoints("demo") if worker["in_flight"]], "a busy worker")[0]
        proxy.kill(busy["pid"])
        answer = client.response()
        assert (answer.status, answer.error) == (502, "connection_terminated")
    assert proxy.access(1)[0]["outcome"] == "worker_died"
    until(lambda: all_ready(proxy), "both workers")


def test_workers_killed_under_load_cost_idempotent_requests_nothing(start_proxy):
    proxy = start_proxy("""
        services: { demo: { demo: true, workers: 3, retry: { attempts: 3, budget: 1.0 } } }
    """)
    load = Load(proxy, clients=4)
    for _ in range(4):
        load.more(60)
        # A row whose worker has just ended has no process any more.
        victim = until(lambda: next((worker["pid"] for worker in proxy.endpoints("demo")
                                     if worker["state"] == "ready" and worker["pid"]), None), "a ready worker")
        proxy.kill(victim)
        until(lambda: all_ready(proxy) and victim not in pids(proxy), "all workers")
    load.more(60)
    load.end()


def test_all_workers_gone_means_waiting_not_failing(start_proxy):
    # Each dead worker that is met costs one attempt.
    proxy = start_proxy("services: { demo: { demo: true, workers: 2, retry: { attempts: 3, budget: 1.0 } } }")
    load = Load(proxy, clients=2, keep=False)
    load.more(20)
    load.stop()
    for worker in proxy.endpoints("demo"):
        proxy.kill(worker["pid"])
    assert [proxy.get("/worker").status for _ in range(20)] == [200] * 20
    until(lambda: all_ready(proxy), "all workers")


def test_a_crash_loop_neither_ends_the_proxy_nor_burns_a_core(start_proxy, folder):
    program = folder / "crash.sh"
    program.write_text("#!/bin/sh\necho run >> " + str(folder) + "/runs\nexit 7\n")
    program.chmod(0o755)
    (folder / "runs").touch()
    (folder / "runs").chmod(0o666)
    proxy = start_proxy(f"""
        services:
          demo: {{ demo: true, workers: 1 }}
          bad: {{ command: [{program}, "{{socket}}"], workers: 1, queue: {{ length: 10, wait: 500ms }} }}
        routes: [{{ path: /bad/, to: bad }}, {{ to: demo }}]
    """)
    threading.Event().wait(2)
    assert (folder / "runs").read_text().count("run") <= 10
    assert proxy.get("/worker").status == 200
    assert proxy.get("/bad/").status == 503
    assert proxy.event("worker_exited")["service"] == "bad"


def test_a_stopped_edge_is_not_the_others_problem(start_proxy):
    proxy = start_proxy(DEMO)
    clients = [proxy.client() for _ in range(30)]
    stopped = proxy.edges()[0]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    for client in clients:
        client.send(request("/worker"))
    # Those that the other edge has are answered, one after the other.
    answered = set()

    def some_and_no_more():
        ready = select.select([client.connection for client in clients if client not in answered], [], [], 0.5)[0]
        answered.update(client for client in clients if client.connection in ready)
        return not ready
    until(some_and_no_more, "an end")
    assert {client.response().status for client in answered} == {200}
    assert 0 < len(answered) < 30
    os.kill(stopped, signal.SIGCONT)
    for client in clients:
        if client not in answered:
            assert client.response().status == 200
        client.close()


def become(user):
    def change():
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    return change


@pytest.mark.parametrize("user", [0, 4321])
def test_edges_and_plugins_cannot_be_read_by_others(start_proxy, folder, user):
    preexec = None
    if os.getuid() == 0 and user:
        os.chown(folder, user, user)
        preexec = become(user)
    proxy = start_proxy(DEMO + "\nplugins: [{ name: tap, command: [sleep, '1000'] }]", preexec=preexec)
    hosts = [process.pid for process in processes.descendants(proxy.pid) if process.arguments == "proxy --role plugins"]
    assert len(hosts) == 1
    for pid in [edge["pid"] for edge in proxy.edges()] + hosts:
        # /proc belongs to root for a process that is not dumpable.
        assert os.stat(f"/proc/{pid}/maps").st_uid == 0
        assert preexec is None or processes.user_of(pid) == user


def test_a_draining_edge_that_is_killed_is_said_with_what_it_lost(start_proxy, serve):
    release = threading.Event()
    server = serve(held(release))
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    old = proxy.edges()[0]["pid"]
    with proxy.client() as client:
        client.send(request())
        until(lambda: server.requests, "a request in flight")
        proxy.reload()
        proxy.kill(old)
        assert client.ended()
    assert proxy.event("edge_exited", level="error", pid=old)["requests_lost"] == 1
    release.set()
