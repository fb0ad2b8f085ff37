"""`proxyapp.signals`: blinker's words, and what a worker raises."""

import gc
import json

import pytest

from proxyapp import signals
from proxyapp.signals import Signal


@pytest.fixture
def heard():
    return []


def receiver(heard, name, result=None, error=None):
    def receive(sender, **data):
        heard.append((name, sender, data))
        if error:
            raise error
        return result
    return receive


def test_receivers_are_called_in_the_order_of_connection(heard):
    signal = Signal()
    for name in "cab":
        signal.connect(receiver(heard, name, result=name))
    assert [result for _, result in signal.send("web", order=42)] == ["c", "a", "b"]
    assert heard == [(name, "web", {"order": 42}) for name in "cab"]


def test_receivers_are_held_strongly_unless_asked_otherwise(heard):
    signal = Signal()
    weak = receiver(heard, "weak")
    signal.connect(receiver(heard, "strong"))
    signal.connect(weak, weak=True)
    signal.send()
    del weak
    gc.collect()
    signal.send()
    assert [name for name, _, _ in heard] == ["strong", "weak", "strong"]


def test_weak_methods_go_with_their_object(heard):
    class Listener:
        def receive(self, sender):
            heard.append(sender)

    signal, listener = Signal(), Listener()
    signal.connect(listener.receive, weak=True)
    signal.send(1)
    del listener
    gc.collect()
    signal.send(2)
    assert heard == [1] and not signal.has_receivers_for(2)


def test_senders_are_told_apart(heard):
    signal = Signal()
    signal.connect(receiver(heard, "web"), sender="web")
    signal.connect(receiver(heard, "any"))

    @signal.connect_via("api")
    def api(sender):
        heard.append(("api", sender, {}))

    signal.send("api")
    signal.send("".join(["w", "eb"]))
    signal.send()
    assert [name for name, _, _ in heard] == ["any", "api", "web", "any", "any"]
    assert len(list(signal.receivers_for("web"))) == 2


def test_the_same_is_connected_once(heard):
    signal, one = Signal(), receiver(heard, "one")
    signal.connect(one)
    signal.connect(one)
    signal.connect(receiver(heard, "two"), dispatch_uid="two")
    signal.connect(receiver(heard, "two"), dispatch_uid="two")
    signal.send()
    assert [name for name, _, _ in heard] == ["one", "two"]
    assert signal.disconnect(one) and signal.disconnect(dispatch_uid="two")
    assert not signal.disconnect(one) and not signal


def test_disconnect_for_one_sender_leaves_the_others(heard):
    signal, one = Signal(), receiver(heard, "one")
    signal.connect(one, sender="web")
    signal.connect(one, sender="api")
    assert signal.disconnect(one, sender="web")
    assert signal.has_receivers_for("api") and not signal.has_receivers_for("web")
    assert signal.disconnect(one) and not signal


def test_connected_and_muted_for_a_while(heard):
    signal = Signal()
    with signal.connected_to(receiver(heard, "inner")):
        signal.send(1)
        with signal.muted():
            assert signal.send(2) == [] and signal.send_robust(2) == []
        signal.send(3)
    signal.send(4)
    assert [sender for _, sender, _ in heard] == [1, 3]


def test_send_robust_goes_on_where_send_ends(heard):
    signal, error = Signal(), ValueError("no")
    signal.connect(receiver(heard, "bad", error=error))
    signal.connect(receiver(heard, "good", result=1))
    assert [result for _, result in signal.send_robust()] == [error, 1]
    with pytest.raises(ValueError):
        signal.send()


def test_a_receiver_may_connect_and_disconnect_while_it_is_called(heard):
    signal = Signal()

    def once(sender):
        heard.append("once")
        signal.disconnect(once)
        signal.connect(receiver(heard, "later"))

    signal.connect(once)
    signal.send()
    signal.send()
    assert heard == ["once", ("later", None, {})]


def test_names_lead_to_one_signal():
    assert signals.signal("checkout.paid") is signals.signal("checkout.paid")
    assert signals.signal("request-started") is signals.request_started
    assert signals.signal("got_request_exception") is signals.request_exception
    with pytest.raises(TypeError):
        Signal().connect(None)


LISTENING = '''
import json
from proxyapp import signals

heard = []

def listen(name):
    def receive(sender, environ, id, **data):
        data = {key: repr(value) for key, value in data.items() if key != "duration"}
        heard.append([name, sender, environ["PATH_INFO"], id[:4], data])
    return receive

for each in ("request_started", "request_finished", "got_request_exception",
             "request_tearing_down"):
    signals.signal(each).connect(listen(each))

@signals.request_finished.connect
def broken(sender, **data):
    raise ValueError("a bad receiver")

@signals.request_started.connect
def leaving(sender, **data):
    raise SystemExit("a receiver that leaves")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise KeyError("raised")
    start_response("200 OK", [])
    return [json.dumps(heard).encode()]
'''


def test_a_worker_raises_the_four_in_order(start, site):
    zygote = start("listening:app", site(listening=LISTENING))
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    assert edge.get("/ok").status == 200
    assert edge.get("/raise").status == 500
    found = json.loads(edge.get("/end").body)
    assert found == [
        ["request_started", "web", "/ok", "01JD", {}],
        ["request_finished", "web", "/ok", "01JD", {"status": "200"}],
        ["request_tearing_down", "web", "/ok", "01JD", {}],
        ["request_started", "web", "/raise", "01JD", {}],
        ["got_request_exception", "web", "/raise", "01JD", {"exception": "KeyError('raised')"}],
        ["request_finished", "web", "/raise", "01JD", {"status": "500"}],
        ["request_tearing_down", "web", "/raise", "01JD", {}],
        ["request_started", "web", "/end", "01JD", {}]]
    assert "a receiver of request_finished raised" in worker.read_output(b"a bad receiver")
    assert "a receiver of request_started raised" in worker.read_output(b"a receiver that leaves")
    edge.close()
