"""Shows a folder's leaf to real clients: Python with every check it has, curl, and openssl verify."""
import os
import socket
import ssl
import subprocess
import sys
import threading

folder = sys.argv[1]
root = os.path.join(folder, "root.pem")
leaf = os.path.join(folder, "localhost.pem")

server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(leaf)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]


def serve():
    while True:
        connection, _ = listener.accept()
        try:
            with server.wrap_socket(connection, server_side=True) as session:
                session.recv(4096)
                session.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        except OSError:
            pass


threading.Thread(target=serve, daemon=True).start()

client = ssl.create_default_context(cafile=root)
client.verify_flags |= ssl.VERIFY_X509_STRICT
for name in ["localhost", "127.0.0.1", "::1", "app.test", "a.app.test", "other.test"]:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            with client.wrap_socket(connection, server_hostname=name) as session:
                session.sendall(b"GET / HTTP/1.0\r\n\r\n")
                print("python", name, "ok" if session.recv(4096) else "nothing came", flush=True)
    except ssl.SSLCertVerificationError as error:
        refused = "Hostname mismatch" in str(error)
        print("python", name, "refused" if refused else error, flush=True)

curl = subprocess.run(
    ["curl", "-sS", "--max-time", "10", "--cacert", root, f"https://127.0.0.1:{port}/"],
    capture_output=True, text=True)
print("curl", curl.returncode, curl.stdout + curl.stderr, flush=True)

verify = subprocess.run(
    ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost",
     "-CAfile", root, "localhost.pem"],
    cwd=folder, capture_output=True, text=True)
print("openssl", (verify.stdout + verify.stderr).strip(), flush=True)
