"""An authority for the certificates of the tests: its own, and a server's that it has signed, in files, by openssl."""

import pathlib
import subprocess
import tempfile

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
# What the certificate is for: where echo-server listens in these tests.
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


class Authority:
    """Files that are there until the `with` block is left: `ca` is what clients are told to trust."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self._folder.name)
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
        ca_key = folder / "ca.key"
        openssl("req", "-x509", *KEY, "-subj", "/CN=Tests", "-keyout", ca_key, "-out", self.ca)
        signing = ("-CA", self.ca, "-CAkey", ca_key, "-addext", NAMES, "-addext", "basicConstraints=critical,CA:FALSE")
        openssl("req", "-x509", *KEY, "-subj", "/CN=localhost", *signing, "-keyout", self.key, "-out", self.certificate)
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def files(self):
        """What has a server show the certificate: echo-server, and those of other runtimes that can."""
        return ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]

    def flags(self):
        """What has echo-server show it on a free port."""
        return ["--listen", "wss://127.0.0.1:0", *self.files()]


def openssl(*arguments):
    """Runs openssl."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
