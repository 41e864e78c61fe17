"""A tiny POP3 server in memory that is odd on purpose (docs/quirks.md, "POP3"). It speaks RFC 1939 with TOP and UIDL.

    with OddServer([b"Subject: a\\r\\n\\r\\ntext\\r\\n"], uidls=None, newline=b"\\n") as server:
        server.port, server.commands
"""

import re
import socket
import threading


class OddServer:
    """uidls: one for each message, None: no UIDL at all.  capa: lines of CAPA, None: no CAPA.
    newline: the end of every line, those of messages included.  kilobytes: LIST rounds up to 1 KiB.
    silent: numbers of messages that are listed and not returned.  top: whether TOP is known.
    password: of the only user.  uidl_line: how a line of UIDL is written.
    """

    def __init__(self, messages, *, uidls=None, capa=("TOP", "UIDL", "PIPELINING"), newline=b"\r\n", kilobytes=False, silent=(),
                 top=True, uidl_line=b"%d %s", password: str):
        self.messages, self.uidls, self.capa, self.newline = list(messages), uidls, capa, newline
        self.kilobytes, self.silent, self.top, self.uidl_line, self.password = kilobytes, set(silent), top, uidl_line, password
        self.commands: list[str] = []  # of all sessions, without arguments of PASS
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def count(self, verb: str) -> int:
        return sum(command.split()[0] == verb for command in self.commands)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                connection.sendall(b"+OK odd" + self.newline)
                for line in reader:
                    words = line.decode().split(None, 1)
                    self.commands.append(words[0] if words[0] == "PASS" else line.decode().strip())
                    answer = getattr(self, f"on_{words[0].lower()}", self._unknown)(words[1].strip() if len(words) > 1 else "")
                    connection.sendall(b"".join(part + self.newline for part in answer))
                    if words[0] == "QUIT":
                        return
            except OSError:
                pass

    @staticmethod
    def _unknown(_) -> list[bytes]:
        return [b"-ERR what?"]

    def on_capa(self, _):
        return self._unknown(_) if self.capa is None else [b"+OK", *(line.encode() for line in self.capa), b"."]

    def on_user(self, _):
        return [b"+OK"]

    def on_pass(self, password):
        return [b"+OK" if password == self.password else b"-ERR wrong"]

    def _sizes(self) -> list[int]:
        return [-(-len(m) // 1024) * 1024 if self.kilobytes else len(m) for m in self.messages]

    def on_stat(self, _):
        return [b"+OK %d %d" % (len(self.messages), -1 if self.kilobytes else sum(self._sizes()))]

    def on_list(self, _):
        return [b"+OK", *(b"%d %d" % pair for pair in enumerate(self._sizes(), 1)), b"."]

    def on_uidl(self, _):
        if self.uidls is None:
            return self._unknown(_)
        return [b"+OK", *(self.uidl_line % (n, u.encode()) for n, u in enumerate(self.uidls, 1)), b"."]

    def _lines(self, message: bytes) -> list[bytes]:
        lines = re.split(rb"\r?\n", message.removesuffix(b"\n").removesuffix(b"\r"))
        return [b"+OK", *(b"." + line if line.startswith(b".") else line for line in lines), b"."]

    def on_retr(self, number):
        return [b"-ERR gone"] if int(number) in self.silent else self._lines(self.messages[int(number) - 1])

    def on_top(self, arguments):
        if not self.top:
            return self._unknown(arguments)
        head, _, _ = self.messages[int(arguments.split()[0]) - 1].partition(b"\r\n\r\n")
        return self._lines(head + b"\r\n\r\n")

    def on_rset(self, _):
        return [b"+OK"]

    def on_quit(self, _):
        return [b"+OK bye"]
