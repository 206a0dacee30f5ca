"""Real servers for tests, each on a free loopback port, and a line to them that can be cut or go silent."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

PASSWORD = "s3cret-&-p@ss"
_BOLT_SERVER = """
import sys
import arcadedb_embedded
folder, password, http_port, bolt_port = sys.argv[1:]
server = arcadedb_embedded.ArcadeDBServer(
    root_path=folder, root_password=password, jvm_kwargs={"heap_size": "512m"},
    config={
        "http_port": int(http_port), "bolt_port": int(bolt_port),
        "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    },
)
server.start()
server.create_database("graph")
print("the graph is ready", flush=True)
sys.stdin.read()
server.stop()
"""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_programs() -> Path | None:
    """Folder with initdb and postgres: the newest that Debian installed, or what the path has."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = shutil.which("initdb")
    return debian[-1].parent if debian else Path(found).parent if found else None


@contextmanager
def postgres(programs: Path) -> Iterator[int]:
    """A PostgreSQL server with user "loader" and PASSWORD; its port."""
    # It does not run as root, and then needs a folder that is not below one of root's.
    owner: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="extractor-postgres-"))
    if os.getuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    os.chmod(folder / "password", 0o644)
    data, port = folder / "data", free_port()
    try:
        options = ["-U", "loader", "-A", "scram-sha-256", "--pwfile", folder / "password", "-E", "UTF8"]
        command = [programs / "initdb", "-D", data, *options, "--no-locale", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **owner)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "port": port,
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        log = (folder / "log").open("wb")
        with (
            log,
            subprocess.Popen(
                [programs / "postgres", "-D", data, *flags], stdout=log, stderr=log, cwd=folder, **owner
            ) as server,
        ):
            try:
                wait_for(server, lambda: b"ready to accept connections" in (folder / "log").read_bytes())
                yield port
            finally:
                server.send_signal(3)  # immediate shutdown: nothing of it is kept
    finally:
        shutil.rmtree(folder)


@contextmanager
def bolt(folder: Path) -> Iterator[int]:
    """ArcadeDB's server with user "root", PASSWORD and an empty database "graph"; the port that speaks Bolt."""
    port = free_port()
    command = [sys.executable, "-c", _BOLT_SERVER, folder, PASSWORD, str(free_port()), str(port)]
    with (
        (folder / "output").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder) as server,
    ):
        try:
            wait_for(server, lambda: b"the graph is ready" in (folder / "output").read_bytes())
            yield port
        finally:
            server.kill()


def wait_for(server: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if server.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{server.args!r} did not start")
        time.sleep(0.1)


class Line:
    """A TCP proxy to a local port that hangs up, or goes silent, once so many bytes went to the server.

    `cuts`: so many connections are hung up, each after its own bytes; none: from then on there is no getting through.
    """

    def __init__(
        self,
        port: int,
        *,
        cut_after: int | None = None,
        silent_after: int | None = None,
        cuts: int | None = None,
    ) -> None:
        self._target, self._cut_after, self._silent_after = port, cut_after, silent_after
        self._cuts = cuts
        self._carried = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exc: object) -> None:
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                self._carried += len(data) if counts else 0
                if self._silent_after is not None and self._carried > self._silent_after:
                    continue
                if self._is_cut():
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_cut(self) -> bool:
        if self._cut_after is None or self._carried <= self._cut_after or self._cuts == 0:
            return False
        if self._cuts is not None:
            self._cuts, self._carried = self._cuts - 1, 0
        return True
