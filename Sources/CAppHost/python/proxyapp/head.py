"""From the head of a request to a WSGI environ (PEP 3333), strictly and fast.

The edge frames the requests, so nothing odd should ever come; what is odd all the same is refused,
because two parsers that read one request in two ways are how requests get smuggled.
"""

from urllib.parse import unquote_to_bytes

# The longest head (bytes): far above any sensible `limits.header`, which the edge obeys.
HEAD_BYTES_MAX = 1 << 20

# Names and hosts remembered (entries), so that a hostile client cannot fill the memory.
REMEMBERED_MAX = 512

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


class Refused(Exception):
    """This request breaks a rule, which the message names."""


def is_token(text):
    """Whether `text` is a token (RFC 9110 section 5.6.2)."""
    return bool(text) and TOKEN.issuperset(text)


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
    """Host field -> (name, port or None); brackets of IPv6 stay, as CGI wants them (RFC 3875)."""

    def __missing__(self, host):
        if " " in host or not (host.isascii() and host.isprintable()):
            raise Refused("host has a character that is not allowed")
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, None
        elif not (port.isascii() and port.isdigit()):
            port = None
        if len(self) < REMEMBERED_MAX:
            self[host] = (name, port)
        return name, port


_keys = _Keys()
_hosts = _Hosts()


def parse(head, base):
    """Reads one head without its last empty line.

    `base` is the part of the environ that never changes. Returns `(environ, place, length)`;
    the length is that of the body in bytes, -1 for a chunked one.
    """
    lines = head.decode("latin-1").split("\r\n")
    if head.translate(None, TEXT) != b"\r\n" * (len(lines) - 1):
        raise Refused("a control character, or a CR or LF alone")
    environ = base.copy()
    try:
        method, target, version = lines[0].split(" ")
        if version != "HTTP/1.1":
            raise Refused("the version is not HTTP/1.1")
        peer = lines[1]
        if not peer.startswith(_PEER):
            raise Refused("proxy-peer does not come first")
        number, scheme, address, remote_port, server_port, prefix = peer[12:].split(" ")
        place = _PLACES[number]
        default_port = _PORTS[scheme]
    except (ValueError, IndexError, KeyError):
        raise Refused("the request line or proxy-peer is malformed") from None
    lead = lines[0] + peer
    if "\t" in lead or not lead.isascii():
        raise Refused("a tab, or a byte above 127, in the request line or in proxy-peer")
    if method not in _METHODS and not is_token(method):
        raise Refused("the method is not a token")
    path, _, environ["QUERY_STRING"] = target.partition("?")
    if not path.startswith("/") and target != "*":
        raise Refused("the target is not a path")
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    if prefix != "-":
        environ["SCRIPT_NAME"] = unquote_to_bytes(prefix).decode("latin-1")
        target = prefix + target
    environ["REQUEST_METHOD"] = method
    environ["REQUEST_URI"] = target
    environ["wsgi.url_scheme"] = scheme
    environ["REMOTE_ADDR"] = address
    environ["REMOTE_PORT"] = remote_port
    for line in lines[2:]:
        name, colon, value = line.partition(":")
        key = _keys[name]
        if not colon:
            raise Refused("a field line without a colon")
        if key in environ:
            _repeat(environ, key, value.strip(" \t"))
        elif key:
            environ[key] = value.strip(" \t")
    host = environ.get("HTTP_HOST")
    if host:
        environ["SERVER_NAME"], port = _hosts[host]
        environ["SERVER_PORT"] = port or default_port
    else:
        environ["SERVER_PORT"] = server_port
    return environ, place, _body_length(environ)


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
