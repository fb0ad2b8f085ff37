"""Part 2 and 7: `routes[]`, first match wins (contract section 2)."""

import pytest

from harness import ScriptedServer, answering, chunked, request


@pytest.fixture(scope="module")
def echo():
    """Answers with what it was asked."""
    def answer(message):
        body = "\n".join([message.start] + [f"{name.lower()}: {value}" for name, value in message.fields]).encode("latin-1")
        return b"HTTP/1.1 200 OK\r\nX-Powered-By: echo\r\nServer: echo\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    server = ScriptedServer(answering(answer))
    yield server
    server.close()


def named(name):
    return answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name.encode()))


@pytest.fixture(scope="module")
def proxy(start_shared_proxy, echo):
    servers = {name: ScriptedServer(named(name)) for name in ("exact", "wild", "api", "posts", "beta", "rest")}
    services = "\n".join(f"  {name}: {{ upstreams: ['{server.url}'] }}" for name, server in servers.items())
    yield start_shared_proxy(ROUTES.replace("SERVICES", services + f"\n  echo: {{ upstreams: ['{echo.url}'] }}"))
    for server in servers.values():
        server.close()


ROUTES = """
services:
SERVICES
routes:
  - { host: exact.test, path: /both/, to: exact }
  - { host: exact.test, to: exact }
  - { host: "*.wild.test", to: wild }
  - { path: /api/, to: api }
  - { path: /posts/, method: [POST, PUT], to: posts }
  - { path: /beta/, header: { X-Beta: "yes" }, to: beta }
  - { path: /strip/, strip: /strip, to: echo }
  - path: /fields/
    to: echo
    set_headers: { request: { X-Set: set, X-Given: replaced }, response: { X-Frame-Options: DENY, Server: other } }
    remove_headers: { request: [X-Secret], response: [X-Powered-By] }
  - { path: /old/, redirect: { to: "https://new.test{target}" } }
  - { path: /moved/, redirect: { to: "https://new.test/", status: 302 } }
  - { path: /fixed/, respond: { status: 418, body: "short and stout", headers: { X-Pot: tea } } }
  - { path: /allowed/, allow: [127.0.0.0/8], to: rest }
  - { path: /elsewhere/, allow: [10.0.0.0/8], to: rest }
  - { path: /denied/, deny: [127.0.0.1], to: rest }
  - { path: /rest/, to: rest }
"""


@pytest.mark.parametrize("host, target, expected", [
    ("exact.test", "/", "exact"),
    ("EXACT.test:1234", "/", "exact"),
    ("exact.test", "/api/", "exact"),
    ("a.wild.test", "/", "wild"),
    ("other.test", "/api", "api"),
    ("other.test", "/api/", "api"),
    ("other.test", "/api/deep?q=1", "api"),
    ("other.test", "/rest/", "rest"),
])
def test_host_and_path(proxy, host, target, expected):
    answer = proxy.get(target, host=host)
    assert (answer.status, answer.text) == (200, expected)


@pytest.mark.parametrize("host, target", [
    ("other.test", "/"), ("other.test", "/apix"), ("wild.test", "/"), ("xexact.test", "/"), ("exact.test.evil", "/"),
    ("other.test", "/posts/"), ("other.test", "/API/"), ("other.test", "/x/api/")])
def test_no_route(proxy, host, target):
    answer = proxy.get(target, host=host)
    assert (answer.status, answer.error) == (404, "destination_not_found")
    line = proxy.access(1, id=answer.get("x-request-id"))[0]
    assert (line["service"], line["status"], line["error"]) == (None, 404, "destination_not_found")


@pytest.mark.parametrize("target", ["/x/../api/", "/%61pi/", "/api/%2e%2e/", "//api/", "/./api/"])
def test_one_path_one_meaning(proxy, target):
    """Whatever a path is matched as, the service is sent what was matched: never a route for one path and the other's content."""
    answer = proxy.get(target, host="other.test")
    assert answer.status in (200, 400, 404)
    if answer.status == 200:
        assert answer.text == "api"


def test_method_and_header(proxy):
    assert proxy.get("/posts/", method="POST").text == "posts"
    assert proxy.get("/posts/", method="PUT").text == "posts"
    assert proxy.get("/beta/", x_beta="yes").text == "beta"
    assert proxy.get("/beta/", x_beta="no").status == 404
    assert proxy.get("/beta/").status == 404


@pytest.mark.parametrize("target, seen", [("/strip/a?b=c", "/a?b=c"), ("/strip", "/"), ("/strip?x", "/?x"), ("/strip//a", "//a")])
def test_strip(proxy, target, seen):
    lines = proxy.get(target).text.split("\n")
    assert lines[0] == f"GET {seen} HTTP/1.1"
    assert "x-forwarded-prefix: /strip" in lines


def test_fields_are_set_and_removed(proxy):
    answer = proxy.get("/fields/", x_secret="hidden", x_given="mine", x_kept="kept")
    lines = answer.text.split("\n")
    assert "x-set: set" in lines and "x-kept: kept" in lines
    assert [line for line in lines if line.startswith("x-given:")] == ["x-given: replaced"]
    assert not any(line.startswith("x-secret") for line in lines)
    assert answer.all("x-frame-options") == ["DENY"]
    assert answer.all("server") == ["other"]
    assert answer.get("x-powered-by") is None


def test_fields_are_set_and_removed_in_trailers_and_interim_answers_too(start_proxy, serve):
    server = serve(answering(
        b"HTTP/1.1 103 Early Hints\r\nX-Powered-By: a\r\nServer: b\r\nLink: l\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
            b"ok", trailers=b"X-Powered-By: c\r\nserver: d\r\nX-Sum: e\r\n")))
    proxy = start_proxy(f"""
        services: {{ web: {{ upstreams: ["{server.url}"] }} }}
        routes:
          - to: web
            set_headers: {{ request: {{ X-Role: guest }}, response: {{ Server: other }} }}
            remove_headers: {{ request: [X-Secret], response: [X-Powered-By] }}
    """)
    with proxy.client() as client:
        client.send(request("/", "POST", transfer_encoding="chunked") + chunked(
            b"x", trailers=b"X-Secret: 1\r\nx-role: admin\r\nX-More: 2\r\n"))
        interim = client.read_head()
        assert (interim.status, interim.fields) == (103, [("Link", "l")])
        answer = client.response()
    assert (answer.status, answer.all("server"), answer.trailers) == (200, ["other"], [("X-Sum", "e")])
    message = server.requests[0]
    assert (message.all("x-role"), message.trailers) == (["guest"], [("X-More", "2")])


def test_redirects(proxy):
    answer = proxy.get("/old/page?a=b%20c")
    assert (answer.status, answer.get("location")) == (308, "https://new.test/old/page?a=b%20c")
    answer = proxy.get("/moved/x")
    assert (answer.status, answer.get("location")) == (302, "https://new.test/")


def test_a_fixed_answer(proxy):
    with proxy.client() as client:
        answer = client.exchange(request("/fixed/"))
        assert (answer.status, answer.text, answer.get("x-pot")) == (418, "short and stout", "tea")
        head = client.exchange(request("/fixed/", "HEAD"))
        assert (head.status, head.get("content-length")) == (418, "15")
        assert client.exchange(request("/rest/")).text == "rest"
        answer = client.exchange(request("/fixed/", "POST", body=b"x" * 1000))
        assert answer.status == 418
        assert answer.get("connection") == "close" or client.exchange(request("/rest/")).text == "rest"


def test_allow_and_deny(proxy):
    assert proxy.get("/allowed/").text == "rest"
    for target in ("/elsewhere/", "/denied/"):
        answer = proxy.get(target)
        assert (answer.status, answer.error) == (403, "http_request_denied")


def test_the_address_that_is_asked_about_is_the_clients_own_unless_a_trusted_proxy_says(start_proxy, serve):
    config = """
        {top}
        services: {{ web: {{ upstreams: ["{url}"] }} }}
        routes: [{{ allow: [203.0.113.0/24], to: web }}]
    """
    url = serve().url
    stranger = start_proxy(config.format(top="", url=url))
    assert stranger.get(x_forwarded_for="203.0.113.7").status == 403
    trusted = start_proxy(config.format(top="trusted_proxies: [127.0.0.1]", url=url))
    assert trusted.get(x_forwarded_for="203.0.113.7").status == 200
    assert trusted.get(x_forwarded_for="203.0.113.7, 198.51.100.1").status == 403


def test_weights_between_services(start_proxy, serve):
    stable, canary = serve(named("stable")), serve(named("canary"))
    proxy = start_proxy(f"""
        services:
          stable: {{ upstreams: ["{stable.url}"] }}
          canary: {{ upstreams: ["{canary.url}"] }}
          unused: {{ upstreams: ["{canary.url}"] }}
        routes: [{{ to: {{ stable: 90, canary: 10, unused: 0 }} }}]
    """)
    with proxy.client() as client:
        answers = [client.exchange(request()).text for _ in range(500)]
    assert 20 <= answers.count("canary") <= 80
    assert answers.count("stable") == 500 - answers.count("canary")


def test_a_plain_listener_that_redirects(start_proxy, serve, authority):
    certificate, key = authority.certificate("localhost")
    proxy = start_proxy(f"""
        listen: ["https://127.0.0.1:0", {{ url: "http://127.0.0.1:0", redirect: https }}]
        tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}] }}
        services: {{ web: {{ upstreams: ["{serve().url}"] }} }}
    """)
    with proxy.client(1) as client:
        for method in ("GET", "POST"):
            body = b"x" if method == "POST" else None
            answer = client.exchange(request("/a?b=c", method, body=body, host="localhost:1"))
            assert (answer.status, answer.get("location")) == (308, f"https://localhost:{proxy.address()[1]}/a?b=c")
