"""Part 6: TLS on the listener and towards upstreams, tried with Python's ssl, curl and openssl s_client."""

import os
import socket
import ssl
import subprocess
import textwrap
import time

import pytest

from harness import Load, request, run_proxy
from harness.certificates import openssl
from harness.wire import Client, Closed, until


def secure(authority, *names, extra="", top=""):
    certificate, key = authority.certificate(*(names or ("localhost", "127.0.0.1")))
    return f"""
        {top}
        listen: ["https://127.0.0.1:0", "http://127.0.0.1:0"]
        tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}]{extra} }}
        services: {{ demo: {{ demo: true, workers: 2 }} }}
    """


@pytest.fixture(scope="module")
def proxy(start_shared_proxy, authority):
    return start_shared_proxy(secure(authority))


def test_a_request_over_tls(proxy, authority):
    with proxy.client(tls=authority.client_context()) as client:
        for _ in range(5):
            told = client.exchange(request("/worker", host="localhost")).json
            assert (told["scheme"], told["remote"]) == ("https", "127.0.0.1")
        port, cipher = client.port, client.connection.cipher()[0]
    line = proxy.access(5, remote_port=port)[0]
    assert line["scheme"] == "https"
    assert list(line["tls"]) == ["version", "cipher", "group", "resumed", "sni", "alpn"]
    assert line["tls"]["version"] in ("1.3", "TLSv1.3") and line["tls"]["cipher"] == cipher
    assert (line["tls"]["resumed"], line["tls"]["sni"]) == (False, "localhost")


def test_curl(proxy, authority):
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--cacert", str(authority.root), "--max-time", "15", "--http1.1",
         f"https://localhost:{proxy.address()[1]}/worker", "--resolve", f"localhost:{proxy.address()[1]}:127.0.0.1"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"scheme":"https"' in done.stdout


def s_client(proxy, *arguments, text="", check=True):
    done = openssl(
        "s_client", "-connect", f"127.0.0.1:{proxy.address()[1]}", "-servername", "localhost", *arguments,
        folder="/", input=text, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("groups, used", [("X25519:P-256", "X25519"), ("P-256", "ECDH, prime256v1")])
def test_versions_and_groups(proxy, authority, version, groups, used):
    text = s_client(proxy, version, "-groups", groups, "-CAfile", str(authority.root), "-verify_return_error")
    assert "Verify return code: 0 (ok)" in text
    assert f"TLSv1.{version[-1]}" in text
    assert f"Server Temp Key: {used}," in text


@pytest.mark.parametrize("arguments", [["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES256-SHA"],
                                       ["-tls1_2", "-cipher", "AES128-SHA256"]])
def test_what_intermediate_leaves_out_is_refused(proxy, arguments):
    text = s_client(proxy, *arguments, check=False)
    assert "Cipher is (NONE)" in text or "alert" in text


def test_modern_and_minimum(start_proxy, authority):
    for extra in (", profile: modern", ', minimum: "1.3"'):
        proxy = start_proxy(secure(authority, extra=extra))
        assert "Cipher is (NONE)" in s_client(proxy, "-tls1_2", check=False)
        assert "TLSv1.3" in s_client(proxy, "-tls1_3")


@pytest.mark.parametrize("offered, chosen", [
    (["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)])
def test_alpn(proxy, authority, offered, chosen):
    with proxy.client(tls=authority.client_context(*offered)) as client:
        assert client.connection.selected_alpn_protocol() == chosen
        assert client.exchange(request("/worker")).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_across_edges_and_a_reload(start_proxy, authority, version):
    proxy = start_proxy(secure(authority))
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with proxy.client(tls=context) as client:
        client.exchange(request("/worker"))
        session = client.connection.session
    for turn in range(2):
        for _ in range(8):
            raw = socket.create_connection(proxy.address())
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as connection:
                assert connection.session_reused
                connection.sendall(request("/worker", connection="close"))
                while connection.recv(65536):
                    pass
        if turn == 0:
            proxy.reload()
    # By its scheme: a plain request from elsewhere, to a port that somebody else had before, is none of these.
    assert sum(line["tls"]["resumed"] for line in proxy.access(17, scheme="https")) == 16


def test_session_tickets_may_be_left_out(start_proxy, authority):
    proxy = start_proxy(secure(authority, extra=", session_tickets: false"))
    context = authority.client_context()
    with proxy.client(tls=context) as client:
        client.exchange(request("/worker"))
        session = client.connection.session
    raw = socket.create_connection(proxy.address())
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as connection:
        assert not connection.session_reused


def test_a_name_chooses_its_certificate(start_proxy, authority):
    files = [authority.certificate(*names) for names in (("first.test",), ("second.test", "also.test"), ("*.wild.test",))]
    listed = ", ".join(f"{{ certificate: {certificate}, key: {key} }}" for certificate, key in files)
    proxy = start_proxy(f"""
        listen: ["https://127.0.0.1:0"]
        tls: {{ certificates: [{listed}] }}
        services: {{ demo: {{ demo: true, workers: 1 }} }}
    """)

    def subject(name):
        context = authority.client_context()
        context.check_hostname = False
        with proxy.client(tls=context, server_name=name) as client:
            return dict(pair[0] for pair in client.connection.getpeercert()["subject"])["commonName"]
    assert subject("first.test") == "first.test"
    assert subject("second.test") == "second.test"
    assert subject("SECOND.test") == "second.test"
    assert subject("also.test") == "second.test"
    assert subject("a.wild.test") == "*.wild.test"
    assert subject("a.b.wild.test") == "first.test"
    assert subject("unknown.test") == "first.test"
    assert subject(None) == "first.test"


def test_an_rsa_certificate(start_proxy, authority):
    certificate, key = authority.certificate("localhost", key=("rsa", "rsa_keygen_bits:2048"))
    proxy = start_proxy(f"""
        listen: ["https://127.0.0.1:0"]
        tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}] }}
        services: {{ demo: {{ demo: true, workers: 1 }} }}
    """)
    for version in ("-tls1_2", "-tls1_3"):
        s_client(proxy, version, "-CAfile", str(authority.root), "-verify_return_error")


def test_a_new_certificate_comes_with_a_reload(start_proxy, authority, folder):
    first, second = authority.certificate("localhost"), authority.certificate("localhost", "renewed.test")

    def install(files):
        for source, name in zip(files, ("live.pem", "live.key")):
            (folder / name).write_bytes(source.read_bytes())
            (folder / name).chmod(0o600)
    install(first)
    proxy = start_proxy(f"""
        listen: ["https://127.0.0.1:0"]
        tls: {{ certificates: [{{ certificate: {folder}/live.pem, key: {folder}/live.key }}] }}
        services: {{ demo: {{ demo: true, workers: 2 }} }}
    """)
    names = lambda: served_names(proxy, authority)
    assert names() == {"localhost"}
    load = Load(proxy, clients=2, keep=False, tls=authority.client_context())
    load.more(20)
    install(second)
    proxy.reload()
    assert names() == {"localhost", "renewed.test"}
    # A key of another certificate changes nothing.
    (folder / "live.key").write_bytes(first[1].read_bytes())
    answer = proxy.command("reload")
    assert not answer["ok"]
    assert names() == {"localhost", "renewed.test"}
    load.more(20)
    load.end()


def served_names(proxy, authority):
    with proxy.client(tls=authority.client_context()) as client:
        return {name for kind, name in client.connection.getpeercert()["subjectAltName"]}


def test_a_plain_request_on_the_tls_port_is_told_the_url(proxy):
    with proxy.client() as client:
        answer = client.exchange(request("/page?a=b", host="localhost"))
        assert answer.status == 400
        assert "this port speaks https: https://localhost/page?a=b\n" in answer.text
        assert client.ended()


def test_a_client_hello_on_the_plain_port_is_one_log_line(proxy):
    before = len(proxy.lines)
    context = ssl.create_default_context()
    with pytest.raises((ssl.SSLError, OSError)):
        proxy.client(1, tls=context)
    until(lambda: len(proxy.lines) > before, "its line")
    said = [line for line in proxy.lines[before:] if line]
    assert len(said) == 1 and "tls" in said[0].lower()


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x80\x2e\x01\x00\x02"])
def test_a_handshake_that_stops_or_is_noise_is_closed(start_proxy, authority, data):
    proxy = start_proxy(secure(authority, top="timeout: { handshake: 300ms }"))
    with proxy.client() as client:
        client.send(data)
        client.read_to_end()
    with proxy.client() as silent:
        assert silent.ended()
    with proxy.client(tls=authority.client_context()) as client:
        assert client.exchange(request("/worker")).status == 200


def test_hundreds_of_unfinished_handshakes_hold_nobody_up(proxy, authority):
    hanging = []
    for _ in range(300):
        client = Client(proxy.address())
        client.send(b"\x16\x03\x01\x02\x00\x01\x00")
        hanging.append(client)
    for _ in range(20):
        with proxy.client(tls=authority.client_context()) as client:
            assert client.exchange(request("/worker")).status == 200
    for client in hanging:
        client.close()


def test_large_bodies_both_ways_over_tls(proxy, authority):
    with proxy.client(tls=authority.client_context()) as client:
        answer = client.exchange(request("/bytes?size=5000000"))
        assert answer.body == (bytes(range(251)) * (5_000_000 // 251 + 1))[:5_000_000]
        assert client.exchange(request("/upload", "POST", body=b"x" * 3_000_000)).json["bytes"] == 3_000_000


def test_a_broken_answer_over_tls_ends_without_close_notify_or_short(proxy, authority):
    context = authority.client_context()
    with proxy.client(tls=context) as client:
        client.send(request("/cut?after=10"))
        try:
            answer = client.read_body(client.read_head())
            assert not answer.complete
        except ssl.SSLError:
            pass


def test_the_end_of_a_connection_is_said(proxy, authority):
    context = authority.client_context()
    with socket.create_connection(proxy.address()) as raw:
        with context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as connection:
            connection.sendall(request("/worker", connection="close"))
            while connection.recv(65536):  # raises when the end comes without close_notify
                pass


def test_the_development_ca(start_proxy, folder):
    proxy = start_proxy("""
        listen: ["https://127.0.0.1:0"]
        tls: { dev_ca: true }
        services: { demo: { demo: true, workers: 1 } }
    """)
    root = proxy.folder / "state/ca/root.pem"
    assert root.exists(), list((proxy.folder / "state").rglob("*"))
    context = ssl.create_default_context(cafile=str(root))
    for name in ("localhost", "127.0.0.1"):
        with proxy.client(tls=context, server_name=name) as client:
            assert client.exchange(request("/worker")).status == 200
    leaf = ssl.get_server_certificate(proxy.address())
    text = openssl("x509", "-noout", "-text", folder="/", input=leaf).stdout
    assert "CA:FALSE" in text and "TLS Web Server Authentication" in text and "DNS:localhost" in text
    keys = [path for path in (proxy.folder / "state").rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert keys and all(path.stat().st_mode & 0o077 == 0 for path in keys)
    # The same root after a restart.
    before = root.read_bytes()
    assert proxy.stop() == 0
    again = start_proxy(f"""
        listen: ["https://127.0.0.1:0"]
        directories: {{ runtime: {proxy.folder}/run, state: {proxy.folder}/state, spool: {proxy.folder}/spool }}
        tls: {{ dev_ca: true }}
        services: {{ demo: {{ demo: true, workers: 1 }} }}
    """)
    assert root.read_bytes() == before
    with again.client(tls=context) as client:
        assert client.exchange(request("/worker")).status == 200


def leaf_that_ends(folder, end):
    """Replaces the development certificate by one that ends at `end` (Unix seconds)."""
    (folder / "index.txt").write_text("")
    (folder / "ca.cnf").write_text(f"""
[ca]
default_ca = one
[one]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
""")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "leaf.key", "-out", "leaf.csr", folder=folder)
    openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "leaf.csr", "-cert", "root.pem", "-keyfile", "root-key.pem",
            "-startdate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end - 90 * 86400)),
            "-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end)), "-out", "leaf.pem", folder=folder)
    (folder / "localhost.pem").write_bytes((folder / "leaf.pem").read_bytes() + (folder / "leaf.key").read_bytes())
    return ssl.PEM_cert_to_DER_cert((folder / "leaf.pem").read_text())


def served(proxy):
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(proxy.address()))


def test_the_development_certificate_is_renewed_while_the_proxy_runs(start_proxy):
    config = """
        listen: ["https://127.0.0.1:0"]
        tls: { dev_ca: true }
        services: { demo: { demo: true, workers: 1 } }
    """
    proxy = start_proxy(config)
    folder = proxy.folder / "state/ca"
    # It is renewed with 30 days left, so this one is due in some seconds; later, should this start take longer.
    for seconds in (4, 8, 16, 32):
        assert proxy.stop() == 0
        old = leaf_that_ends(folder, int(time.time()) + 30 * 86400 + seconds)
        proxy = start_proxy(f"directories: {{ runtime: {folder}/../../run, state: {folder}/.. }}\n" + textwrap.dedent(config))
        if served(proxy) == old:
            break
    # What is in the file has not been asked for.
    proxy.configuration.write_text("nonsense")
    until(lambda: served(proxy) != old, "another certificate", seconds=60)
    proxy.event("certificate_renewed")
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    with proxy.client(tls=context) as client:
        assert client.exchange(request("/worker")).status == 200
    assert proxy.event("config_reloaded", generation=2)["services"] == "app code unchanged"


def upstream_config(server, extra, host="localhost"):
    return f"""
        services:
          web:
            upstreams: [{{ url: "https://{host}:{server.port}"{extra} }}]
            retry: {{ attempts: 0 }}
            health: {{ passive: {{ failures: 1000, window: 10s, pause: 1s }} }}
    """


def test_tls_to_an_upstream_is_verified(start_proxy, serve, authority):
    server = serve(tls=authority.server_context("localhost"))
    proxy = start_proxy(upstream_config(server, f", ca: {authority.root}"))
    with proxy.client() as client:
        for _ in range(5):
            assert client.exchange(request()).text == "ok"


def test_authorities_that_root_alone_may_read(start_proxy, serve, authority, folder):
    server = serve(tls=authority.server_context("localhost"))
    ca = folder / "ca.pem"
    ca.write_bytes(authority.root.read_bytes())
    ca.chmod(0o600)
    proxy = start_proxy(upstream_config(server, f", ca: {ca}"))
    assert proxy.get().text == "ok"
    # An edge that is started again has what the master read.
    ca.unlink()
    before = {edge["pid"] for edge in proxy.edges()}
    for pid in before:
        proxy.kill(pid)
    until(lambda: before.isdisjoint(edge["pid"] for edge in proxy.edges() if edge["state"] == "ready")
          and len([edge for edge in proxy.edges() if edge["state"] == "ready"]) == 2, "two new edges")
    assert proxy.get().text == "ok"


def test_a_server_name_of_its_own(start_proxy, serve, authority):
    server = serve(tls=authority.server_context("inner.test"))
    proxy = start_proxy(upstream_config(server, f", ca: {authority.root}, server_name: inner.test", "127.0.0.1"))
    assert proxy.get().text == "ok"


@pytest.mark.parametrize("case", ["unknown authority", "another name"])
def test_an_upstream_that_cannot_be_trusted(start_proxy, serve, authority, case):
    name = "localhost" if case == "unknown authority" else "other.test"
    server = serve(tls=authority.server_context(name))
    proxy = start_proxy(upstream_config(server, "" if case == "unknown authority" else f", ca: {authority.root}"))
    answer = proxy.get()
    assert (answer.status, answer.error) == (502, "tls_certificate_error")
    assert server.requests == []
    line = proxy.event("upstream_tls_failed")
    reason = "certificate_untrusted" if case == "unknown authority" else "certificate_name_mismatch"
    assert (line["service"], line["reason"]) == ("web", reason)


def test_verification_may_be_left_out_for_one_upstream(start_proxy, serve, authority):
    server = serve(tls=authority.server_context("other.test"))
    proxy = start_proxy(upstream_config(server, ", verify: false"))
    assert proxy.get().text == "ok"


def test_an_upstream_that_speaks_no_tls(start_proxy, serve):
    def script(stream, server):
        stream.more()
        stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    proxy = start_proxy(upstream_config(serve(script), ", verify: false"))
    answer = proxy.get()
    assert (answer.status, answer.error) == (502, "tls_protocol_error")


def bad_keys(authority, folder):
    certificate, key = authority.certificate("localhost")
    other, other_key = authority.certificate("other.test")
    (folder / "encrypted.key").write_text(openssl(
        "ec", "-in", key, "-aes256", "-passout", "pass:secret", folder=folder).stdout)
    (folder / "garbage.key").write_text("no key\n")
    for name in ("encrypted.key", "garbage.key"):
        (folder / name).chmod(0o600)
    return {
        "another certificate's": (certificate, other_key, [str(certificate), str(other_key)]),
        "encrypted": (certificate, folder / "encrypted.key", ["encrypted"]),
        "no key": (certificate, folder / "garbage.key", ["garbage.key"]),
        "not there": (certificate, folder / "nowhere.key", ["nowhere.key"]),
        "no certificate": (folder / "nowhere.pem", key, ["nowhere.pem"]),
    }


@pytest.mark.parametrize("case", ["another certificate's", "encrypted", "no key", "not there", "no certificate"])
def test_a_key_that_cannot_serve_is_a_config_error(authority, folder, case):
    certificate, key, words = bad_keys(authority, folder)[case]
    (folder / "proxy.yaml").write_text(
        f'listen: ["https://127.0.0.1:0"]\ntls:\n  certificates:\n    - {{ certificate: {certificate}, key: {key} }}\n'
        "services: { demo: { demo: true } }\n")
    done = run_proxy("-t", "--conf", "proxy.yaml", folder=folder)
    assert done.returncode == 78, done.stderr
    assert done.stderr.startswith("proxy.yaml:4:") and all(word in done.stderr for word in words), done.stderr


def test_a_key_that_others_can_read_is_a_warning(authority, folder):
    certificate, key = authority.certificate("localhost")
    (folder / "open.key").write_bytes(key.read_bytes())
    (folder / "open.key").chmod(0o644)
    (folder / "proxy.yaml").write_text(
        f'listen: ["https://127.0.0.1:0"]\ntls: {{ certificates: [{{ certificate: {certificate}, key: open.key }}] }}\n'
        "services: { demo: { demo: true } }\n")
    done = run_proxy("-t", "--conf", "proxy.yaml", folder=folder)
    assert done.returncode == 0
    assert "warning" in done.stderr and "open.key" in done.stderr


@pytest.mark.parametrize("request_on", ["plain", "tls"])
def test_keys_stay_out_of_the_edges_reach(start_proxy, authority, request_on):
    proxy = start_proxy(secure(authority))
    for edge in proxy.edges():
        assert os.stat(f"/proc/{edge['pid']}/maps").st_uid == 0
    with proxy.client(0 if request_on == "tls" else 1, tls=authority.client_context() if request_on == "tls" else None) as client:
        try:
            assert client.exchange(request("/worker")).json["scheme"] == ("https" if request_on == "tls" else "http")
        except Closed:
            pytest.fail("closed")
