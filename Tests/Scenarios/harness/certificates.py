"""Certificates for tests, made fresh by the `openssl` command; nothing is stored."""

import os
import ssl
import subprocess
from pathlib import Path


def openssl(*arguments, folder, check=True, input=None):
    return subprocess.run(
        ["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=check, input=input, timeout=30)


class Authority:
    """A root, `root.pem`, and what it signs, in one folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 90,
            "-subj", "/CN=Scenario Root", "-keyout", "root.key", "-out", "root.pem", folder=folder)
        self.root = self.folder / "root.pem"
        self._made = {}

    def certificate(self, *names, key=("ec", "ec_paramgen_curve:P-256"), issuer="root"):
        """The files of a leaf certificate and its key for these names; made once."""
        if (names, key) in self._made:
            return self._made[names, key]
        stem = f"leaf-{len(self._made)}"
        kinds = ["IP" if name.replace(".", "").isdigit() or ":" in name else "DNS" for name in names]
        (self.folder / f"{stem}.ext").write_text(
            "subjectAltName=" + ",".join(f"{kind}:{name}" for kind, name in zip(kinds, names))
            + "\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl(
            "req", "-new", "-newkey", key[0], "-pkeyopt", key[1], "-nodes", "-subj", f"/CN={names[0]}",
            "-keyout", f"{stem}.key", "-out", f"{stem}.csr", folder=self.folder)
        openssl(
            "x509", "-req", "-in", f"{stem}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-days", 60,
            "-set_serial", os.getpid() * 1000 + len(self._made), "-extfile", f"{stem}.ext", "-out", f"{stem}.pem", folder=self.folder)
        os.chmod(self.folder / f"{stem}.key", 0o600)
        self._made[names, key] = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        return self._made[names, key]

    def client_context(self, *protocols):
        """A verifying client that offers these protocols by ALPN."""
        context = ssl.create_default_context(cafile=str(self.root))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def server_context(self, *names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, self.certificate(*names)))
        return context
