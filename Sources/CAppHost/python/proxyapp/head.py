"""From the head of a request to a WSGI environ (PEP 3333), strictly and fast.

The edge frames the requests, so nothing odd should ever come; what is odd all the same is refused,
because two parsers that read one request in two ways are how requests get smuggled.
"""

from urllib.parse import unquote_to_bytes

# The longest head (bytes): far above any sensible `limits.header`, which the edge obeys.
HEAD_BYTES_MAX = 1 << 20

# Names and hosts remembered (entries), so that a hostile client cannot fill the memory.
REMEMBERED_MAX = 512

# Parts of heads remembered by their bytes: so many of a kind, and none longer (bytes).
RAW_MAX = 256
RAW_BYTES_MAX = 2048

# Places of a worker: one busy byte each, as in the endpoint table.
PLACES_MAX = 64

TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789"
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

# What may stand in a head beside CR and LF: no other control but the tab (RFC 9110 section 5.5).
TEXT = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))

_PORTS = {"http": "80", "https": "443"}
_PLACES = {str(place): place for place in range(PLACES_MAX)}
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_SINGLE = frozenset(("HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING",
                     "HTTP_X_REQUEST_ID"))
_PEER = "proxy-peer: "
_IDENTITY = b"X-Request-Id: "  # as our edge writes it, behind proxy-peer


class Refused(Exception):
    """This request breaks a rule, which the message names."""


def is_token(text):
    """Whether `text` is a token (RFC 9110 section 5.6.2)."""
    return bool(text) and TOKEN.issuperset(text)


def _text(raw, breaks=0):
    """Bytes of the head as text; `breaks` of CR LF may stand in it, and no other control."""
    if raw.translate(None, TEXT) != b"\r\n" * breaks:
        raise Refused("a control character, or a CR or LF alone")
    return raw.decode("latin-1")


def _lead(raw):
    """What stands before the fields, as text: visible ASCII and blanks."""
    if b"\t" in raw or not raw.isascii():
        raise Refused("a tab, or a byte above 127, in the request line or in proxy-peer")
    return _text(raw)


def _remembered(memory, raw, made):
    """Keeps what was made of `raw`, within bounds; gives it back."""
    if len(raw) <= RAW_BYTES_MAX:
        if len(memory) >= RAW_MAX:
            memory.clear()  # clients come and go
        memory[raw] = made
    return made


class _Keys(dict):
    """Field name as it came -> environ key; None for what is kept from the app.

    Names with an underscore would be taken for the same name with a dash, and `Proxy` would become
    HTTP_PROXY, which libraries read as a setting: neither reaches the app.
    """

    def __missing__(self, name):
        if not is_token(name):
            raise Refused("a field name is empty or odd")
        lower = name.lower()
        if lower == "proxy-peer":
            raise Refused("proxy-peer stands twice")
        if "_" in name or lower == "proxy":
            key = None
        elif lower in ("content-type", "content-length"):
            key = lower.upper().replace("-", "_")
        else:
            key = "HTTP_" + lower.upper().replace("-", "_")
        if len(self) < REMEMBERED_MAX:
            self[name] = key
        return key


class _Hosts(dict):
    """Host field -> (name, port or ""); brackets of IPv6 stay, as CGI wants them (RFC 3875)."""

    def __missing__(self, host):
        if " " in host or not (host.isascii() and host.isprintable()):
            raise Refused("host has a character that is not allowed")
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, ""
        elif not (port.isascii() and port.isdigit()):
            port = ""
        if len(self) < REMEMBERED_MAX:
            self[host] = (name, port)
        return name, port


_keys = _Keys()
_hosts = _Hosts()


class _Lines(dict):
    """Request line -> what it makes of the environ."""

    def __missing__(self, line):
        try:
            method, target, version = _lead(line).split(" ")
        except ValueError:
            raise Refused("the request line is malformed") from None
        if version != "HTTP/1.1":
            raise Refused("the version is not HTTP/1.1")
        if method not in _METHODS and not is_token(method):
            raise Refused("the method is not a token")
        path, _, query = target.partition("?")
        if not path.startswith("/") and target != "*":
            raise Refused("the target is not a path")
        return _remembered(self, line, {
            "REQUEST_METHOD": method, "REQUEST_URI": target, "QUERY_STRING": query,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path})


class _Peers(dict):
    """`proxy-peer` line -> (what it makes of the environ, place, default port of the scheme,
    port of the listener, prefix that was stripped or None)."""

    def __missing__(self, line):
        text = _lead(line)
        if not text.startswith(_PEER):
            raise Refused("proxy-peer does not come first")
        try:
            number, scheme, address, remote_port, server_port, prefix = text[12:].split(" ", 5)
            place, default_port = _PLACES[number], _PORTS[scheme]
        except (ValueError, KeyError):
            raise Refused("proxy-peer is malformed") from None
        entries = {"wsgi.url_scheme": scheme, "REMOTE_ADDR": address, "REMOTE_PORT": remote_port}
        prefix, blank, protocol = prefix.partition(" ")
        if blank:  # the client's, where it is not HTTP/1.1
            if protocol != "HTTP/1.0":
                raise Refused("proxy-peer is malformed")
            entries["SERVER_PROTOCOL"] = protocol
        if prefix == "-":
            prefix = None
        else:
            entries["SCRIPT_NAME"] = unquote_to_bytes(prefix).decode("latin-1")
        return _remembered(self, line, (entries, place, default_port, server_port, prefix))


_lines = _Lines()
_peers = _Peers()


class Heads:
    """Reads the heads of one worker's requests; `base` is what is the same in every environ.

    Clients say the same lines again and again. So what is made of them is remembered by their very
    bytes: of the request line, of `proxy-peer`, and of all that our edge writes behind the id.
    """

    def __init__(self, base):
        self._base = base
        self._tails = {}

    def parse(self, head):
        """Reads one head without its last empty line.

        Returns `(environ, place, length)`; the length is that of the body in bytes, -1 for a
        chunked one.
        """
        parts = head.split(b"\r\n", 3)
        if len(parts) == 4 and parts[2].startswith(_IDENTITY):
            line, peer, identity, tail = parts
            fields = self._tails.get(tail)
            if fields is None:
                fields = self._remember(tail)
            environ = fields[0].copy()
            environ["HTTP_X_REQUEST_ID"] = _text(identity)[14:].strip(" \t")
        elif len(parts) > 1:
            line, peer = parts[:2]
            fields = self._read(parts[2:])
            environ = fields[0]
        else:
            raise Refused("a head without proxy-peer")
        environ.update(_lines[line])
        entries, place, default_port, server_port, prefix = _peers[peer]
        environ.update(entries)
        if prefix is not None:
            environ["REQUEST_URI"] = prefix + environ["REQUEST_URI"]
        _, port, length = fields
        environ["SERVER_PORT"] = port or (server_port if port is None else default_port)
        return environ, place, length

    def _remember(self, tail):
        fields = self._read((tail,))
        if "HTTP_X_REQUEST_ID" in fields[0]:
            raise Refused("x-request-id stands twice")
        return _remembered(self._tails, tail, fields)

    def _read(self, parts):
        """The environ's part that field lines make; the port that Host names: `""` for the usual
        one, None without Host; the length of the body."""
        environ = self._base.copy()
        for part in parts:
            for line in _text(part, part.count(b"\r\n")).split("\r\n"):
                name, colon, value = line.partition(":")
                key = _keys[name]
                if not colon:
                    raise Refused("a field line without a colon")
                if key in environ:
                    _repeat(environ, key, value.strip(" \t"))
                elif key:
                    environ[key] = value.strip(" \t")
        port = None
        host = environ.get("HTTP_HOST")
        if host:
            environ["SERVER_NAME"], port = _hosts[host]
        return environ, port, _body_length(environ)


def _repeat(environ, key, value):
    if key in _SINGLE:
        raise Refused("%s stands twice" % key.replace("HTTP_", "").replace("_", "-").lower())
    separator = "; " if key == "HTTP_COOKIE" else ", "
    environ[key] += separator + value


def _body_length(environ):
    """The length of the body (RFC 9112 section 6.3); -1 when it is chunked."""
    text = environ.get("CONTENT_LENGTH")
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None:
        if text is not None:
            raise Refused("content-length with transfer-encoding")
        if coding.lower() != "chunked":
            raise Refused("a transfer coding other than chunked")
        return -1
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Refused("content-length is not a number")
    return int(text)
