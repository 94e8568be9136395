"""Starts a server, waits for the line that says it is ready, and stops it by its process id."""

import select
import subprocess

# Seconds until the ready line: starting takes milliseconds, or a second where Node starts on a busy machine.
START_LIMIT = 20
# Seconds from SIGTERM to the end: echo-server gives its connections 10 s to close.
STOP_LIMIT = 20


class NotReady(Exception):
    """The server did not say in time that it listens."""


class Server:
    """A running server; `url` is where it listens. Leaving the `with` block kills what `stop` has not ended."""

    def __init__(self, command):
        self.command = command

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            self.url = self._ready_url()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def _ready_url(self):
        # The ready line is written whole, so that once the pipe is readable reading a line cannot block for long.
        if not select.select([self.process.stdout], [], [], START_LIMIT)[0]:
            raise NotReady(f"{self.command[0]} said nothing on stdout for {START_LIMIT} s")
        line = self.process.stdout.readline().decode().strip()
        if not line.startswith(("listening on ws://", "listening on wss://")):
            raise NotReady(f"{self.command[0]} is not ready, its first line on stdout is {line!r}")
        return line.removeprefix("listening on ")

    def stop(self):
        """Sends SIGTERM and returns the exit code, or None if the server outstayed the limit."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            return None
