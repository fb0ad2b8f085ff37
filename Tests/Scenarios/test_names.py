"""Part 7: names of upstreams are looked up by the resolver process, again by their time to live."""

import os
import signal

import pytest

from harness import ScriptedServer, answering, processes
from harness.dns_server import NO_SUCH_NAME, REFUSED, SERVER_FAILURE, Answer, DNSServer, own_names, record
from harness.wire import until
from test_upstream_faults import check_error

pytestmark = own_names


@pytest.fixture
def names(folder):
    server = DNSServer(folder)
    yield server
    server.close()


@pytest.fixture
def same_port(request):
    """Starts a server on each of these addresses, all on one port; each answers with its address."""
    def start(*hosts):
        for _ in range(20):
            servers = []
            try:
                for host in hosts:
                    body = host.encode()
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                    port = servers[0].port if servers else 0
                    servers.append(ScriptedServer(answering(answer), host=host, port=port))
            except OSError:
                for server in servers:
                    server.close()
                continue
            for server in servers:
                request.addfinalizer(server.close)
            return servers[0].port
        raise AssertionError("no port is free on all addresses")
    return start


def config(port):
    return f"services: {{ web: {{ upstreams: ['http://api.test:{port}'] }} }}"


def addresses(proxy):
    return sorted(each["address"] for each in proxy.endpoints("web"))


def resolver_of(proxy):
    resolver, = [each.pid for each in processes.descendants(proxy.pid) if "--role resolve" in each.arguments]
    return resolver


@pytest.fixture
def resolved(start_proxy, names, same_port):
    """A proxy that has found `api.test` at 127.0.0.2, and asks again each second; its name server, and the port."""
    port = same_port("127.0.0.2", "127.0.0.3")
    names.zone["api.test"] = Answer("127.0.0.2", ttl=1)
    proxy = start_proxy(config(port), within=names.within)
    assert proxy.get().text == "127.0.0.2"
    return proxy, names, port


# What is answered

def test_each_address_of_a_name_is_an_endpoint(start_proxy, names, same_port):
    port = same_port("127.0.0.2", "127.0.0.3", "::1")
    # One of them twice: it is one endpoint all the same.
    names.zone["api.test"] = Answer("127.0.0.3", "127.0.0.2", "127.0.0.3", "::1")
    proxy = start_proxy(config(port), within=names.within)
    assert addresses(proxy) == [f"127.0.0.2:{port}", f"127.0.0.3:{port}", f"[::1]:{port}"]
    answers = [proxy.get().text for _ in range(9)]
    assert sorted(answers) == ["127.0.0.2"] * 3 + ["127.0.0.3"] * 3 + ["::1"] * 3


@pytest.mark.parametrize("answer", [
    Answer("127.0.0.2", alias="other.test"), Answer("127.0.0.2", truncated=True), Answer("127.0.0.2", ttl=0)],
    ids=["an alias", "too long for UDP", "no time to live"])
def test_other_ways_to_say_an_address(start_proxy, names, same_port, answer):
    port = same_port("127.0.0.2")
    names.zone["api.test"] = answer
    proxy = start_proxy(config(port), within=names.within)
    assert proxy.get().text == "127.0.0.2"
    assert any(transport == "tcp" for _, _, transport in names.asked) is answer.truncated


def test_more_addresses_than_anybody_has_are_cut(start_proxy, names):
    names.zone["api.test"] = Answer(*(f"127.1.0.{number}" for number in range(1, 200)), truncated=True)
    proxy = start_proxy(config(9), within=names.within)
    assert len(addresses(proxy)) == 64


def test_a_name_is_looked_up_in_the_hosts_file_first(start_proxy, names, same_port, folder):
    port = same_port("127.0.0.2")
    names.zone["api.test"] = Answer("127.0.0.3")
    (folder / "hosts").write_text("127.0.0.2 api.test\n")
    mounted = ["unshare", "--mount", "sh", "-c", f'mount --bind {folder}/hosts /etc/hosts && exec "$@"', "hosts"]
    proxy = start_proxy(config(port), within=mounted + names.within)
    assert proxy.get().text == "127.0.0.2"
    assert names.asked == []


# What changes

@pytest.mark.parametrize("ttl", [1, 0])
def test_a_change_is_followed_when_the_time_to_live_is_over(start_proxy, names, same_port, ttl):
    port = same_port("127.0.0.2", "127.0.0.3")
    names.zone["api.test"] = Answer("127.0.0.2", ttl=ttl)
    proxy = start_proxy(config(port), within=names.within)
    assert proxy.get().text == "127.0.0.2"
    names.zone["api.test"] = Answer("127.0.0.2", "127.0.0.3", ttl=ttl)
    proxy.event("name_resolved", addresses=["127.0.0.2", "127.0.0.3"])
    assert {proxy.get().text for _ in range(2)} == {"127.0.0.2", "127.0.0.3"}
    names.zone["api.test"] = Answer("127.0.0.3", ttl=ttl)
    proxy.event("name_resolved", addresses=["127.0.0.3"])
    assert {proxy.get().text for _ in range(4)} == {"127.0.0.3"}
    until(lambda: addresses(proxy) == [f"127.0.0.3:{port}"], "the end of the endpoint that is gone")


def test_another_name_server_is_found_in_resolv_conf(resolved, folder):
    proxy, names, port = resolved
    (folder / "other").mkdir()
    other = DNSServer(folder / "other")
    other.zone["api.test"] = Answer("127.0.0.3", ttl=1)
    names.configuration.write_text(f"nameserver {other.address}\n")
    try:
        until(lambda: proxy.get().text == "127.0.0.3", "the other server's word")
    finally:
        other.close()


# What fails

def with_records(*records, count=None):
    """An answer to the question with these records, and a count that may lie."""
    def answer(question):
        end = question.index(b"\0", 12) + 5
        return question[:2] + b"\x84\x80\0\1" + (count or len(records)).to_bytes(2) + b"\0\0\0\0" + question[12:end] + b"".join(records)
    return Answer(raw=answer, ttl=1)


FAILURES = {
    "no such name": Answer(code=NO_SUCH_NAME), "a failure": Answer(code=SERVER_FAILURE), "a refusal": Answer(code=REFUSED),
    "no addresses": Answer(),
    "records that are not there": with_records(count=65535),
    "a name that points to itself": with_records(b"\xc0\x1a\0\1\0\1\0\0\0\1\0\4\x7f\0\0\3"),
    "an address of three bytes": with_records(b"\xc0\x0c\0\1\0\1\0\0\0\1\0\3\x7f\0\0"),
    "a record that ends too late": with_records(b"\xc0\x0c\0\1\0\1\0\0\0\1\xff\xff\x7f\0\0\3"),
    "an address of somebody else": with_records(record("evil.test", 1, 1, b"\x7f\0\0\3")),
}
# These are asked for three times, for 14 seconds.
UNANSWERED = {"silence": Answer(silent=True), "noise": Answer(raw=b"\xff" * 50)}


def keeps_and_recovers(resolved, answer):
    proxy, names, port = resolved
    resolver = resolver_of(proxy)
    names.zone["api.test"] = answer
    failed, *_ = until(lambda: proxy.events("name_unresolved"), "a look-up that fails", seconds=60)
    assert (failed["name"], failed["kept"]) == ("api.test", 1)
    assert [proxy.get().text for _ in range(4)] == ["127.0.0.2"] * 4
    assert addresses(proxy) == [f"127.0.0.2:{port}"]
    names.zone["api.test"] = Answer("127.0.0.3", ttl=1)
    until(lambda: proxy.get().text == "127.0.0.3", "the address of now", seconds=60)
    assert resolver_of(proxy) == resolver and proxy.events("resolver_exited") == []


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_look_up_keeps_the_last_good_addresses(resolved, failure):
    keeps_and_recovers(resolved, FAILURES[failure])


@pytest.mark.parametrize("failure", UNANSWERED)
def test_a_look_up_without_an_answer_keeps_the_last_good_addresses(resolved, failure):
    keeps_and_recovers(resolved, UNANSWERED[failure])


@pytest.mark.parametrize("failure", FAILURES)
def test_a_name_that_never_was_resolved_is_a_dns_error_until_it_is(start_proxy, names, same_port, failure):
    port = same_port("127.0.0.2")
    names.zone["api.test"] = FAILURES[failure]
    proxy = start_proxy(config(port), within=names.within)
    check_error(proxy, proxy.get(), 503, "dns_error")
    names.zone["api.test"] = Answer("127.0.0.2")
    until(lambda: proxy.get().status == 200, "the name")


def test_one_name_without_an_answer_holds_no_other_up(resolved, names):
    proxy, _, port = resolved
    names.zone["slow.test"] = Answer(silent=True)
    proxy.write(f"""
        services:
          web: {{ upstreams: ['http://api.test:{port}'] }}
          slow: {{ upstreams: ['http://slow.test:{port}'] }}
        routes: [{{ to: web }}]
    """)
    proxy.signal(signal.SIGHUP)
    until(lambda: names.times("slow.test"), "the question")
    names.zone["api.test"] = Answer("127.0.0.3", ttl=1)
    until(lambda: proxy.get().text == "127.0.0.3", "the other name's change")


def test_a_resolver_that_ends_each_time_holds_no_start_up(start_proxy, names):
    names.zone["api.test"] = Answer(silent=True)
    proxy = start_proxy(config(9), ready=False, within=names.within)

    def is_ready():
        for each in processes.descendants(proxy.pid):
            if "--role resolve" in each.arguments:
                os.kill(each.pid, signal.SIGKILL)
        return proxy.events("ready")
    until(is_ready, "the start")
    check_error(proxy, proxy.ready().get(), 503, "dns_error")
    assert len(proxy.events("resolver_exited")) >= 2


def test_a_resolver_that_is_stopped_holds_no_start_up(start_proxy, names):
    names.zone["api.test"] = Answer(silent=True)
    proxy = start_proxy(config(9), ready=False, within=names.within)
    until(lambda: names.asked, "the question")
    os.kill(resolver_of(proxy), signal.SIGSTOP)
    until(lambda: proxy.events("ready"), "the start", seconds=60)
    check_error(proxy, proxy.ready().get(), 503, "dns_error")
    assert proxy.events("names_unanswered") and not proxy.events("resolver_exited")
