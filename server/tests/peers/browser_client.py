"""Chromium, headless, as a client of an echo server: `browser_client.py BROWSER URL [deflate|refused] [--authority=FILE]`, to
compress, or to refuse the server's certificate, and to trust those that an authority has signed.

The page and its script are served from here, because a page from a file may import no module.
"""

import http.server
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).parent
PAGES = {"/": ("browser_client.html", "text/html"), "/echo_checks.mjs": ("echo_checks.mjs", "text/javascript")}
# Seconds for the browser to start and to run all checks; it takes about five.
LIMIT = 90
# The sandbox needs privileges that containers lack, and the only page it shows is ours. /dev/shm is tiny in containers.
# The rest keeps the browser from talking to anybody else.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync --disable-extensions
    --no-default-browser-check --no-proxy-server""".split()


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the page and takes its results into `server.results`."""

    def do_GET(self):
        name, kind = PAGES.get(urllib.parse.urlsplit(self.path).path, (None, None))
        if name is None:
            self.send_error(404)
            return
        self.answer((HERE / name).read_bytes(), kind)

    def do_POST(self):
        self.server.results = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(b"", "text/plain")
        self.server.finished.set()

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing: stdout is for results."""


def main(browser, server_url, *options):
    authorities = [option.removeprefix("--authority=") for option in options if option.startswith("--authority=")]
    options = [option for option in options if not option.startswith("--authority=")]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as site, tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as profile:
        site.finished = threading.Event()
        threading.Thread(target=site.serve_forever, daemon=True).start()
        page = f"http://127.0.0.1:{site.server_port}/?" + urllib.parse.urlencode(
            {"server": server_url, **dict.fromkeys(options, "")}
        )
        for authority in authorities:
            trust(authority, profile)
        process = subprocess.Popen(
            [browser, *FLAGS, f"--user-data-dir={profile}", page],
            env={**os.environ, "HOME": profile, "XDG_DATA_HOME": f"{profile}/.local/share"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if site.finished.wait(LIMIT):
                print(site.results, end="")
            else:
                print(f"not ok - {browser} gave no results within {LIMIT} s")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            site.shutdown()


def trust(authority, home):
    """Has Chromium with this home trust what an authority has signed: it looks into NSS' database, in either place."""
    for folder in (f"{home}/.pki/nssdb", f"{home}/.local/share/pki/nssdb"):
        os.makedirs(folder)
        subprocess.run(["certutil", "-d", f"sql:{folder}", "-N", "--empty-password"], check=True)
        subprocess.run(["certutil", "-d", f"sql:{folder}", "-A", "-n", "tests", "-t", "C,,", "-i", authority], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
