"""Seeded mutations against the Python host's readers of heads and bodies, with plain strict readers as the judges.

The judges are written apart from the host on purpose: regular expressions over the whole text, no state.
"""

import random
import re

import pytest

from master import head
from proxyapp import body as bodies
from proxyapp import head as heads
from proxyapp.body import Broken, ChunkedBody, LengthBody
from proxyapp.head import Refused

CASES = 6000

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
HEAD = re.compile(
    rb"(" + TOKEN + rb") (/[\x21-\x7e]*|\*|\*\?[\x21-\x7e]*) HTTP/1\.1"
    rb"\r\nproxy-peer: (\d|[1-5]\d|6[0-3]) (https?) ([\x21-\x7e]*) ([\x21-\x7e]*) ([\x21-\x7e]*) ([\x21-\x7e]*)"
    rb"( HTTP/1\.0)?"
    rb"((?:\r\n" + TOKEN + rb":[\t\x20-\x7e\x80-\xff]*)*)", re.DOTALL)
SINGLE = {"host", "content-length", "content-type", "transfer-encoding", "x-request-id"}

HEADS = [
    head("POST", "/a%20b?c=d%26", [("Cookie", "a=1"), ("Cookie", "b=2"), ("accept", "x"), ("Accept", "y"),
                                   ("content-length", "5")], place=7,
         peer="https 2001:db8::1 51234 8443 /pre%20fix", host="shop.example:8443"),
    head("GET", "/"), head("OPTIONS", "*"), head("PUT", "/x", [("Transfer-Encoding", "chunked")]),
    head("GET", "/old", peer="http 127.0.0.1 51234 8080 - HTTP/1.0"),
    head("PATCH", "/%00%0a?%0d", [("X_Secret", "1"), ("Proxy", "2"), ("Content-Type", "a/b")], place=63),
]
HEAD_PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b": ", b":", b" ", b"\t", b"proxy-peer: ", b"1", b"\x80", b"\xff", b"\x7f", b"_",
    b"content-length: 5\r\n", b"Content-Length:7\r\n", b"transfer-encoding: chunked\r\n", b"host: b\r\n", b"?", b"*",
    b"/", b"%", b"HTTP/1.1", b" HTTP/1.0", b"X-Request-Id: a\r\n", b"Cookie: c\r\n", b"\xb2", b"+",
]


def mutated(sample, chance, pieces):
    data = bytearray(sample)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and place < len(data):
            data[place] = chance.randrange(256)
        elif kind == 1:
            del data[place:place + chance.randint(1, 9)]
        elif kind == 2:
            data[place:place] = data[place:place + chance.randint(1, 12)]
        else:
            data[place:place] = chance.choice(pieces)
    return bytes(data)


def judge_head(data):
    """What a head says, or None where a strict reader refuses it."""
    match = HEAD.fullmatch(data)
    if not match:
        return None
    fields = {}
    for line in match[10].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.decode().lower()
        fields.setdefault(name, []).append(value.strip(b" \t").decode("latin-1"))
    if "proxy-peer" in fields or any(len(fields.get(name, ())) > 1 for name in SINGLE):
        return None
    length = fields.get("content-length", ["0"])[0]
    if not re.fullmatch("[0-9]{1,18}", length):
        return None
    if not re.fullmatch("[\x21-\x7e]*", fields.get("host", [""])[0]):
        return None
    coding = fields.get("transfer-encoding")
    if coding and ("content-length" in fields or coding[0].lower() != "chunked"):
        return None
    kept = {}
    for name, values in fields.items():
        if "_" not in name and name != "proxy":
            key = name.upper().replace("-", "_")
            key = key if name in ("content-type", "content-length") else "HTTP_" + key
            kept[key] = ("; " if name == "cookie" else ", ").join(values)
    path, _, query = match[2].decode().partition("?")
    prefix = "" if match[8] == b"-" else match[8].decode()
    return {"method": match[1].decode(), "uri": prefix + match[2].decode(), "query": query, "fields": kept,
            "protocol": "HTTP/1.0" if match[9] else "HTTP/1.1", "place": int(match[3]),
            "length": -1 if coding else int(length), "scheme": match[4].decode(),
            "remote": (match[5].decode(), match[6].decode())}


BASE = {"SCRIPT_NAME": "", "SERVER_NAME": "s", "SERVER_PROTOCOL": "HTTP/1.1"}


def complaint_about_head(data, reader=None):
    """What is wrong with what the host makes of a head, or None; `reader` may have read others before."""
    judged = judge_head(data)
    try:
        environ, place, length = (reader or heads.Heads(BASE)).parse(data)
    except Refused as refused:
        assert str(refused)
        return "a good head is refused" if judged else None
    if judged is None:
        return "what a strict reader refuses is taken"
    said = {"method": environ["REQUEST_METHOD"], "uri": environ["REQUEST_URI"], "query": environ["QUERY_STRING"],
            "fields": {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))},
            "protocol": environ["SERVER_PROTOCOL"], "place": place, "length": length, "scheme": environ["wsgi.url_scheme"],
            "remote": (environ["REMOTE_ADDR"], environ["REMOTE_PORT"])}
    if said != judged:
        return "%r is not %r" % (said, judged)
    for key, value in environ.items():
        if not isinstance(value, str) or max(value, default=" ") > "\xff":
            return "%s is no text of bytes" % key
        # These two are decoded, as WSGI has it; a tab may stand within a field's value.
        controls = {chr(code) for code in range(32)} | {"\x7f"}
        controls -= {"\t"} if key.startswith(("HTTP_", "CONTENT_TYPE")) else set()
        if key not in ("PATH_INFO", "SCRIPT_NAME") and controls & set(value):
            return "%s has a control character" % key
    return None


def test_mutated_heads_mean_what_a_strict_reader_says():
    chance = random.Random(41)
    taken, reader = 0, heads.Heads(BASE)
    for number in range(CASES):
        data = mutated(HEADS[number % len(HEADS)][:-4], chance, HEAD_PIECES)
        assert complaint_about_head(data, reader) is None, data
        taken += judge_head(data) is not None
    assert taken > CASES // 10


def test_the_judge_of_heads_finds_a_reader_that_is_wrong(monkeypatch):
    twice = HEADS[1][:-4] + b"\r\ncontent-length: 1\r\ncontent-length: 1"
    assert complaint_about_head(twice) is None
    monkeypatch.setattr(heads, "_SINGLE", frozenset())
    assert complaint_about_head(HEADS[1][:-4] + b"\r\nContent-Type: a\r\nContent-Type: b") == "what a strict reader refuses is taken"
    monkeypatch.setattr(heads, "TEXT", bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b""))
    assert complaint_about_head(HEADS[1][:-4] + b"\r\na: \x01") == "what a strict reader refuses is taken"


class Pieces:
    """A socket that gives what is there piece by piece, and then its end."""

    def __init__(self, data, cuts):
        edges = [0, *cuts, len(data)]
        self.pieces = [data[start:end] for start, end in zip(edges, edges[1:]) if start < end]

    def recv(self, count):
        if not self.pieces:
            return b""
        piece, self.pieces[0] = self.pieces[0][:count], self.pieces[0][count:]
        if not self.pieces[0]:
            del self.pieces[0]
        return piece

    def recv_into(self, view):
        piece = self.recv(len(view))
        view[:len(piece)] = piece
        return len(piece)

    @property
    def unread(self):
        return b"".join(self.pieces)


SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n\0]*)?\r\n")
LINE = re.compile(rb"([^\r\n\0]*)\r\n")

BODIES = [
    b"5\r\nhello\r\n0\r\n\r\nnext", b"3;a=b\r\nabc\r\n0A \t;x\r\n0123456789\r\n0\r\na: b\r\nc: d\r\n\r\n",
    b"0\r\n\r\n", b"000001\r\nx\r\n0;last\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"1;" + b"e" * 4000 + b"\r\nx\r\n0\r\nt: " + b"f" * 4000 + b"\r\n\r\n",
]
BODY_PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b"0", b"0\r\n", b"1\r\na\r\n", b";", b" ", b"\t", b"f", b"g", b"0x", b"-", b"+", b"_",
    b"\r\n\r\n", b"e" * 200, b"fffffffffffffff",
]


def judge_body(data):
    """The body and what follows it, or None where a strict reader refuses it or it is not all there."""
    place, found = 0, b""
    while True:
        match = SIZE.match(data, place)
        if not match or len(match[0]) > bodies.LINE_BYTES_MAX + 1:
            return None
        size, place = int(match[1], 16), match.end()
        if not size:
            break
        found += data[place:place + size]
        if data[place + size:place + size + 2] != b"\r\n":
            return None
        place += size + 2
    while True:
        match = LINE.match(data, place)
        if not match or len(match[0]) > bodies.LINE_BYTES_MAX + 1:
            return None
        place = match.end()
        if not match[1]:
            return found, data[place:]


def read_body(data, first, cuts):
    """The same by the host: `first` bytes come with the head."""
    pieces = Pieces(data[first:], [cut - first for cut in cuts if cut > first])
    body = ChunkedBody(pieces, data[:first])
    try:
        found = body.readall()
    except Broken:
        return None
    return found, body.rest + pieces.unread


def test_mutated_chunks_are_the_body_that_a_strict_reader_finds():
    chance = random.Random(42)
    taken = 0
    for number in range(CASES):
        data = mutated(BODIES[number % len(BODIES)], chance, BODY_PIECES)
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 1, 3, 20))))
        judged = judge_body(data)
        assert read_body(data, chance.randrange(len(data) + 1), cuts) == judged, (data, cuts)
        taken += judged is not None
    assert taken > CASES // 10


def test_a_body_with_a_length_ends_there_however_it_comes():
    chance = random.Random(43)
    for _ in range(CASES):
        data = chance.randbytes(chance.randrange(60)) if hasattr(chance, "randbytes") else bytes(chance.randrange(60))
        length, first = chance.randrange(60), chance.randrange(len(data) + 1)
        cuts = sorted(chance.randrange(len(data) - first + 1) for _ in range(3))
        pieces = Pieces(data[first:], cuts)
        body = LengthBody(pieces, data[:first], length)
        if length > len(data):
            with pytest.raises(Broken):
                body.readall()
            continue
        assert body.readall() == data[:length] and body.remaining == 0
        assert body.rest + pieces.unread == data[length:]


def test_the_judge_of_bodies_finds_a_reader_that_is_wrong(monkeypatch):
    odd = b"0x1\r\na\r\n0\r\n\r\n"
    assert read_body(odd, 0, []) is None
    monkeypatch.setattr(bodies, "_HEX", frozenset(b"0123456789abcdefABCDEFx"))
    assert read_body(odd, 0, []) != judge_body(odd)
