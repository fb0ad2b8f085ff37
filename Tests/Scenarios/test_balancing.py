"""Part 7: which endpoint a request goes to, the queue, retries and passive health."""

import collections
import socket
import threading

import pytest

from harness import answering, closing_at_once, held, request
from harness.wire import until


def name_of(server):
    return f"127.0.0.1:{server.port}"


def fleet(serve, count):
    """Servers that each answer with their own port."""
    servers = []
    for _ in range(count):
        server = serve(lambda stream, server: answering(
            lambda message: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%05d" % server.port)(stream, server))
        servers.append(server)
    return servers


def urls(servers):
    return "[" + ", ".join(f'"{server.url}"' for server in servers) + "]"


@pytest.mark.parametrize("clients", [1, 3, 16])
def test_round_robin_is_even_whatever_the_number_of_clients_and_edges(start_proxy, serve, clients):
    servers = fleet(serve, 4)
    proxy = start_proxy(f"services: {{ web: {{ upstreams: {urls(servers)} }} }}")
    connections = [proxy.client() for _ in range(clients)]
    for _ in range(203 // clients):
        for client in connections:
            assert client.exchange(request()).status == 200
    counts = [len(server.requests) for server in servers]
    assert max(counts) - min(counts) <= 1, counts
    for client in connections:
        client.close()


def test_round_robin_over_workers_under_parallel_load(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 4, concurrency: 64 } }")
    threads = [threading.Thread(target=load, args=(proxy, 100)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = [worker["requests"] for worker in proxy.endpoints("demo")]
    assert sum(counts) == 800
    assert max(counts) - min(counts) <= 1, counts


def load(proxy, count, target="/worker"):
    with proxy.client() as client:
        for _ in range(count):
            assert client.exchange(request(target)).status == 200


def test_weights(start_proxy, serve):
    servers = fleet(serve, 2)
    proxy = start_proxy(f"""
        services:
          web: {{ upstreams: ["{servers[0].url}", {{ url: "{servers[1].url}", weight: 3 }}] }}
    """)
    load(proxy, 400, "/")
    assert [len(server.requests) for server in servers] == [100, 300]


@pytest.mark.parametrize("balance", ["least-connections", "random-two", "least-time"])
def test_other_algorithms_avoid_the_busy_one(start_proxy, serve, balance):
    release = threading.Event()
    stuck = serve(held(release))
    free = serve()
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: {urls([stuck, free])}, balance: {balance} }} }}")
    waiting = [proxy.client() for _ in range(4)]
    for client in waiting:
        client.send(request("/held"))
    until(lambda: len(stuck.requests) + len(free.requests) >= 4, "the first four")
    if not stuck.requests:  # every one of four by chance at the free one
        pytest.fail(f"{balance} never used an endpoint that was idle")
    before = len(stuck.requests)
    load(proxy, 60, "/")
    assert len(stuck.requests) - before <= 2
    release.set()
    for client in waiting:
        assert client.response().text == "ok"
        client.close()


@pytest.mark.parametrize("hash_by, fields", [
    ("path", lambda key: {"target": f"/{key}"}),
    ("header:X-Key", lambda key: {"x_key": key}),
    ("cookie:key", lambda key: {"cookie": f"a=b; key={key}; c=d"}),
])
def test_consistent_hash(start_proxy, serve, hash_by, fields):
    servers = fleet(serve, 4)
    proxy = start_proxy(f"""
        services: {{ web: {{ upstreams: {urls(servers)}, balance: consistent-hash, hash: "{hash_by}" }} }}
    """)
    first = {key: proxy.get(**fields(f"key{key}")).text for key in range(60)}
    again = {key: proxy.get(**fields(f"key{key}")).text for key in range(60)}
    assert first == again
    assert len(set(first.values())) == 4
    # One endpoint less moves only that endpoint's keys.
    proxy.reload(f"""
        services: {{ web: {{ upstreams: {urls(servers[:3])}, balance: consistent-hash, hash: "{hash_by}" }} }}
    """)
    fewer = {key: proxy.get(**fields(f"key{key}")).text for key in range(60)}
    moved = {key for key in first if first[key] != fewer[key]}
    gone = {key for key in first if first[key] == f"{servers[3].port:05d}"}
    assert moved == gone


def test_the_hash_of_the_client_keeps_it_at_one_endpoint(start_proxy, serve):
    servers = fleet(serve, 4)
    proxy = start_proxy(f"services: {{ web: {{ upstreams: {urls(servers)}, balance: consistent-hash, hash: client }} }}")
    assert len({proxy.get().text for _ in range(20)}) == 1


def test_one_request_at_a_time_reaches_a_worker_and_the_others_wait(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 2 } }")
    clients = [proxy.client() for _ in range(8)]
    for client in clients:
        client.send(request("/sleep?seconds=0.5"))
    most = 0

    def all_answered():
        nonlocal most
        most = max(most, max(worker["in_flight"] for worker in proxy.endpoints("demo")))
        return len(proxy.access_lines(status=200)) >= 8
    until(all_answered, "eight answers")
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert most == 1
    queued = [line["queue"] for line in proxy.access(8)]
    assert sum(1 for seconds in queued if seconds and seconds > 0.1) >= 4


def test_a_dead_upstream_is_tried_elsewhere_for_what_is_idempotent(start_proxy, serve):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        good = serve()
        proxy = start_proxy(f"""
            services:
              web:
                upstreams: ["http://127.0.0.1:{nobody.getsockname()[1]}", "{good.url}"]
                retry: {{ attempts: 1, budget: 1.0 }}
                health: {{ passive: {{ failures: 1000, window: 10s, pause: 1s }} }}
        """)
        for _ in range(10):
            assert proxy.get().text == "ok"
        # Nothing was sent to the one that refused, so a POST may go elsewhere too.
        for _ in range(10):
            assert proxy.get(method="POST", body=b"x").text == "ok"
    assert 10 <= sum(line["retries"] for line in proxy.access(20)) <= 20


def test_what_was_sent_is_retried_only_when_it_is_idempotent(start_proxy, serve):
    bad, good = serve(closing_at_once), serve()
    proxy = start_proxy(f"""
        services:
          web:
            upstreams: ["{bad.url}", "{good.url}"]
            retry: {{ attempts: 1, budget: 1.0 }}
            health: {{ passive: {{ failures: 1000, window: 10s, pause: 1s }} }}
    """)
    for _ in range(10):
        assert proxy.get().text == "ok"
    answers = collections.Counter(proxy.get(method="POST", body=b"x").status for _ in range(10))
    assert answers == {200: 5, 502: 5}


def test_the_retry_budget_bounds_what_a_sick_service_costs(start_proxy, serve):
    bad, worse = serve(closing_at_once), serve(closing_at_once)
    proxy = start_proxy(f"""
        edges: 1
        services:
          web:
            upstreams: {urls([bad, worse])}
            retry: {{ attempts: 3, budget: 0.2 }}
            health: {{ passive: {{ failures: 10000, window: 10s, pause: 1s }} }}
    """)
    for _ in range(200):
        assert proxy.get().status == 502
    sent = len(bad.requests) + len(worse.requests)
    assert 200 <= sent <= 200 * 1.2 + 20


def test_attempts_none_means_no_retry(start_proxy, serve):
    bad, good = serve(closing_at_once), serve()
    proxy = start_proxy(f"services: {{ web: {{ upstreams: {urls([bad, good])}, retry: {{ attempts: 0 }} }} }}")
    assert collections.Counter(proxy.get().status for _ in range(4)) == {200: 2, 502: 2}


def test_never_a_retry_after_the_first_byte(start_proxy, serve):
    def script(stream, server):
        server.note(stream.read_request())
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    servers = [serve(script), serve(script)]
    proxy = start_proxy(f"services: {{ web: {{ upstreams: {urls(servers)}, retry: {{ attempts: 3 }} }} }}")
    assert not proxy.get().complete
    assert sum(len(server.requests) for server in servers) == 1


def test_failures_take_an_endpoint_out_and_one_trial_brings_it_back(start_proxy, serve):
    sick = {"yes": True}

    def script(stream, server):
        while True:
            server.note(stream.read_request())
            if sick["yes"]:
                return
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    patient, good = serve(script), serve()
    proxy = start_proxy(f"""
        services:
          web:
            upstreams: {urls([patient, good])}
            retry: {{ attempts: 1, budget: 1.0 }}
            health: {{ passive: {{ failures: 3, window: 10s, pause: 500ms }} }}
    """)

    def state():
        return {endpoint["name"]: endpoint["state"] for endpoint in proxy.endpoints("web")}[name_of(patient)]
    for _ in range(40):
        assert proxy.get().text == "ok"
    assert state() == "down"
    assert len(patient.requests) <= 8
    sick["yes"] = False

    def well_again():
        assert proxy.get().text == "ok"
        return state() == "ready"
    until(well_again, "the trial that succeeds")
    before = len(patient.requests)
    for _ in range(10):
        assert proxy.get().text == "ok"
    assert len(patient.requests) - before == 5


def test_the_last_endpoint_is_never_taken_out(start_proxy, serve):
    sick = {"yes": True}

    def script(stream, server):
        while True:
            server.note(stream.read_request())
            if sick["yes"]:
                return
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    servers = [serve(script), serve(script)]
    proxy = start_proxy(f"""
        services:
          web:
            upstreams: {urls(servers)}
            retry: {{ attempts: 0 }}
            health: {{ passive: {{ failures: 2, window: 10s, pause: 60s }} }}
    """)
    for _ in range(20):
        assert proxy.get().status == 502
    assert sorted(endpoint["state"] for endpoint in proxy.endpoints("web")) == ["down", "ready"]
    sick["yes"] = False
    assert proxy.get().text == "ok"


def test_statuses_of_the_app_are_no_failures(start_proxy, serve):
    server = serve(answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"))
    good = serve()
    proxy = start_proxy(f"""
        services: {{ web: {{ upstreams: {urls([server, good])}, health: {{ passive: {{ failures: 1, window: 10s, pause: 60s }} }} }} }}
    """)
    assert collections.Counter(proxy.get().status for _ in range(20)) == {200: 10, 500: 10}


def test_a_request_waits_for_a_place_and_is_served_by_whoever_frees_one(start_proxy):
    # Two edges, one worker: the place is freed by one edge and taken by the other.
    proxy = start_proxy("services: { demo: { demo: true, workers: 1, queue: { length: 100, wait: 30s } } }")
    threads = [threading.Thread(target=load, args=(proxy, 10, "/sleep?seconds=0.005")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(proxy.access(160, status=200)) == 160
    assert len({line["pid"] for line in proxy.access(160)}) == 1
