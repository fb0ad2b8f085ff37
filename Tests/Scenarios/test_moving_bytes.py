"""Part 5: back-pressure, spooling, and what a slow side may cost."""

import hashlib
import os
import subprocess
import threading

import pytest

from harness import chunked, looks_into_edges, processes, request
from harness.wire import until


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


def edge_memory(proxy):
    return sum(resident_bytes(edge["pid"]) for edge in proxy.edges())


def test_a_slow_client_holds_back_the_upstream(start_proxy, serve):
    sent = []

    def script(stream, server):
        server.note(stream.read_request())
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(200):
            stream.send(b"x" * 1_000_000)
            sent.append(1)
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{serve(script).url}'] }} }}")
    before = edge_memory(proxy)
    with proxy.client(receive_buffer=4096) as client:
        client.send(request())
        client.read_head()
        settled(lambda: len(sent))
        assert len(sent) < 100, "the upstream was not held back"
        assert edge_memory(proxy) - before < 20_000_000
        assert len(client.read(5_000_000)) == 5_000_000


def settled(value):
    """Waits until a growing value no longer grows."""
    last = [None, 0]

    def still():
        now = value()
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        return last[1] >= 30
    until(still, "an end to its growth")


def test_a_slow_upstream_holds_back_the_client(start_proxy, serve):
    go = threading.Event()

    def script(stream, server):
        head = stream.read_head()
        go.wait(30)
        server.note(stream.read_body(head))
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    proxy = start_proxy(f"edges: 1\nlimits: {{ body: 1GiB }}\nservices: {{ web: {{ upstreams: ['{serve(script).url}'] }} }}")
    before = edge_memory(proxy)
    sent = []
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=100_000_000))

        def send():
            for _ in range(100):
                client.send(b"x" * 1_000_000)
                sent.append(1)
        sender = threading.Thread(target=send)
        sender.start()
        settled(lambda: len(sent))
        assert len(sent) < 60, "the client was not held back"
        assert edge_memory(proxy) - before < 20_000_000
        go.set()
        assert client.response().text == "ok"
        sender.join()


@looks_into_edges
def test_a_buffered_request_reaches_the_worker_only_when_it_is_whole(start_proxy, serve):
    server = serve()
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{server.url}'], buffer: request }} }}")
    body = os.urandom(300_000)
    with proxy.client() as client:
        client.send(request("/", "POST", transfer_encoding="chunked") + chunked(body)[:200_000])
        until(lambda: len(spool_files(proxy)) == 1, "the spool file")
        assert server.connections == 0
        client.send(chunked(body)[200_000:])
        assert client.response().text == "ok"
    message = server.requests[0]
    assert (message.framing, message.body) == ("length", body)
    until(lambda: not spool_files(proxy), "the end of the spool file")


def test_a_client_that_expects_is_told_to_go_on_by_the_proxy_that_buffers(start_proxy, serve):
    server = serve()
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{server.url}'], buffer: request }} }}")
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=5, expect="100-continue"))
        assert client.read_head().status == 100
        client.send(b"hello")
        assert client.response().text == "ok"
    assert server.requests[0].body == b"hello" and server.requests[0].get("expect") is None


def spool_files(proxy):
    spool = str(proxy.folder / "spool")
    return [target for edge in proxy.edges() for target in processes.descriptors(edge["pid"])
            if target.startswith(spool + "/")]


def spooled(proxy, edge):
    """Bytes in an edge's spool files."""
    count = 0
    for name in os.listdir(f"/proc/{edge}/fd"):
        try:
            if os.readlink(f"/proc/{edge}/fd/{name}").startswith(f"{proxy.folder}/spool/"):
                count += os.stat(f"/proc/{edge}/fd/{name}").st_size
        except FileNotFoundError:
            continue  # closed meanwhile
    return count


@looks_into_edges
def test_a_small_request_is_kept_in_memory(start_proxy, serve):
    proxy = start_proxy(f"limits: {{ body_memory: 64KiB }}\nservices: {{ web: {{ upstreams: ['{serve().url}'], buffer: request }} }}")
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=60_000) + b"x" * 59_000)
        proxy.get()
        assert spool_files(proxy) == []
        client.send(b"x" * 1000)
        assert client.response().text == "ok"


@looks_into_edges
def test_nothing_of_a_spool_file_is_ever_seen_in_its_folder(start_proxy, serve):
    proxy = start_proxy(f"services: {{ web: {{ upstreams: ['{serve().url}'], buffer: request }} }}")
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=1_000_000) + b"x" * 500_000)
        until(lambda: len(spool_files(proxy)) == 1, "the spool file")
        assert list((proxy.folder / "spool").iterdir()) == []
    until(lambda: not spool_files(proxy), "the end of the spool file")


@looks_into_edges
def test_the_answer_is_taken_off_the_worker_at_once(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1, buffer: request } }")
    with proxy.client(receive_buffer=4096) as slow:
        slow.send(request("/bytes?size=20000000"))
        slow.read_head()
        # The one worker is free again although the client has read nothing.
        assert proxy.get("/worker").status == 200
        until(lambda: spool_files(proxy), "the spool file")
        body = slow.read(20_000_000)
    assert hashlib.sha256(body).digest() == hashlib.sha256(bytes(range(251)) * (20_000_000 // 251) + bytes(range(20_000_000 % 251))).digest()


def test_an_answer_beyond_the_spool_limit_is_held_back_and_still_whole(start_proxy):
    proxy = start_proxy("""
        limits: { response_memory: 64KiB, response_file: 1MiB }
        services: { demo: { demo: true, workers: 1, buffer: request } }
    """)
    with proxy.client(receive_buffer=4096) as slow:
        slow.send(request("/bytes?size=30000000"))
        slow.read_head()
        assert len(slow.read(30_000_000)) == 30_000_000
    assert proxy.get("/worker").status == 200


def test_chunks_reach_the_client_as_they_come(start_proxy):
    proxy = start_proxy("services: { demo: { demo: true, workers: 1 } }")
    with proxy.client() as client:
        client.send(request("/stream?count=2&seconds=3"))
        client.read_head()
        assert client.read_until(b"chunk 1\n").endswith(b"chunk 1\n")


class Spool:
    """A spool folder with room for 1 MiB: a file system of its own for root, for others a limit on the size of a file."""

    def __init__(self, folder):
        self.folder = folder / "small"
        self.folder.mkdir(mode=0o777)
        self.mounted = os.getuid() == 0
        if self.mounted:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs", str(self.folder)], check=True)

    def line(self):
        return f"directories: {{ runtime: {self.folder.parent}/run, state: {self.folder.parent}/state, spool: {self.folder} }}"

    def limit(self, proxy):
        if not self.mounted:
            for edge in proxy.edges():
                processes.limit(edge["pid"], "fsize", 1 << 20)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def small_spool(folder):
    spool = Spool(folder)
    yield spool
    spool.close()


def test_no_room_for_a_request_is_a_507(start_proxy, serve, small_spool):
    proxy = start_proxy(f"""
        {small_spool.line()}
        services: {{ web: {{ upstreams: ["{serve().url}"], buffer: request }} }}
    """)
    small_spool.limit(proxy)
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=5_000_000))
        client.try_send(b"x" * 5_000_000)
        answer = client.response()
        assert (answer.status, answer.get("connection")) == (507, "close")
    assert proxy.get("/", method="POST", body=b"small").text == "ok"
    assert [edge["restarts"] for edge in proxy.edges()] == [0, 0]


def test_no_room_for_an_answer_is_back_pressure(start_proxy, small_spool):
    proxy = start_proxy(f"""
        {small_spool.line()}
        services: {{ demo: {{ demo: true, workers: 1, buffer: request }} }}
    """)
    small_spool.limit(proxy)
    with proxy.client(receive_buffer=4096) as slow:
        slow.send(request("/bytes?size=20000000"))
        slow.read_head()
        assert len(slow.read(20_000_000)) == 20_000_000
    assert proxy.get("/worker").status == 200
    assert [edge["restarts"] for edge in proxy.edges()] == [0, 0]


@looks_into_edges
def test_no_room_for_the_end_of_an_answer_alone_is_back_pressure_too(start_proxy, serve):
    # Less than a block waits in memory, and asks the file for no room.
    content, rest, end = os.urandom(8_000_000), os.urandom(150_000), threading.Event()

    def script(stream, server):
        while True:
            if stream.read_request().target == "/other":
                stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(content), content))
            server.note("all but the end")
            end.wait(60)
            stream.send(b"%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(rest), rest))
            server.note("the end")
    server = serve(script)
    proxy = start_proxy(f"""
        edges: 1
        limits: {{ response_memory: 64KiB }}
        services: {{ web: {{ upstreams: ["{server.url}"], buffer: request }} }}
    """)
    edge = proxy.edges()[0]["pid"]

    def settled(what):
        """Waits until the edge has taken all that was sent: its file grows no more from one answer to the next."""
        until(lambda: what in server.requests, what)
        sizes = [-1]
        while len(sizes) < 4 or len(set(sizes[-3:])) > 1:
            assert proxy.get("/other").text == "ok"
            sizes.append(spooled(proxy, edge))
        return sizes[-1]
    with proxy.client(receive_buffer=4096) as slow:
        slow.send(request())
        processes.limit(edge, "fsize", settled("all but the end"))
        end.set()
        settled("the end")
        proxy.event("spool_failed")
        answer = slow.response()
        assert answer.complete and answer.body == content + rest
        assert answer.trailers == [("X-Trailer", "yes")]
        assert slow.exchange(request("/other")).text == "ok"


def test_a_hundred_megabytes_leave_memory_flat(start_proxy):
    proxy = start_proxy("edges: 1\nlimits: { body: 1GiB }\nservices: { demo: { demo: true, workers: 1 } }")
    proxy.get("/bytes?size=1000000")
    before = edge_memory(proxy)
    with proxy.client() as client:
        client.send(request("/bytes?size=100000000"))
        client.read_head()
        left = 100_000_000
        peak = 0
        while left:
            left -= len(client.read(min(left, 5_000_000)))
            peak = max(peak, edge_memory(proxy) - before)
        sender = threading.Thread(target=client.send, args=(request("/upload", "POST", body=b"x" * 100_000_000),))
        sender.start()
        assert client.response().json["bytes"] == 100_000_000
        sender.join()
        peak = max(peak, edge_memory(proxy) - before)
    assert peak < 16_000_000


@looks_into_edges
def test_a_body_in_the_smallest_chunks_is_written_to_its_file_in_large_pieces(start_proxy):
    def writes(pid):
        with open(f"/proc/{pid}/io") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("syscw:"))
    proxy = start_proxy("edges: 1\nlimits: { body_memory: 4KiB }\nservices: { demo: { demo: true, workers: 1, buffer: request } }")
    edge = proxy.edges()[0]["pid"]
    before = writes(edge)
    data = os.urandom(200_000)
    with proxy.client() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n")
        assert client.response().json == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert writes(edge) - before < 200
