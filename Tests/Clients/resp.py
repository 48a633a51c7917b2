"""RESP2 and RESP3 for the rigs: requests to bytes, replies from bytes, and one raw connection.

A reply is kept as the bytes that came, because bytes are what the rigs compare; `value` reads them where
a test wants to know what they say.
"""

import select
import socket
import time

# How many items an aggregate's count stands for.
AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
LINES = b"+-:_,#("
BULKS = b"$=!"


class Broken(Exception):
    """Bytes that are no RESP reply, or a connection that ended or fell silent in the middle of one."""


class ErrorReply(Exception):
    """What `ask` raises for a reply that begins with `-`."""


def request(*arguments):
    """A command as an array of bulk strings; arguments are bytes, strings or integers."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


def reply_end(buffer, start=0):
    """The index behind the reply that begins at `start`, or -1 where the buffer ends before it does."""
    pending = 1
    while pending:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return -1
        kind = buffer[start]
        if kind in BULKS:
            size = int(buffer[start + 1 : line_end])
            start = line_end + 2 if size < 0 else line_end + 4 + size
            if start > len(buffer):
                return -1
        elif kind in AGGREGATES:
            count = int(buffer[start + 1 : line_end])
            start = line_end + 2
            pending += max(0, count) * AGGREGATES[kind]
            if kind == ord("|"):
                pending += 1
        elif kind in LINES:
            start = line_end + 2
        else:
            raise Broken(f"no reply begins with {bytes(buffer[start : start + 40])!r}")
        pending -= 1
    return start


def items(reply):
    """The replies that an array is made of, as bytes; none of one that is nil."""
    start, found = reply.index(b"\r\n") + 2, []
    while start < len(reply):
        end = reply_end(reply, start)
        found.append(reply[start:end])
        start = end
    return found


def value(reply):
    """What a whole reply says: bytes, integers, None, lists; maps and sets are lists too, errors are ErrorReply."""

    def read(start):
        line_end = reply.index(b"\r\n", start)
        kind, rest = reply[start], reply[start + 1 : line_end]
        after = line_end + 2
        if kind in BULKS:
            if rest == b"-1":
                return None, after
            return reply[after : after + int(rest)], after + int(rest) + 2
        if kind in AGGREGATES:
            if rest == b"-1":
                return None, after
            items = []
            for _ in range(int(rest) * AGGREGATES[kind]):
                item, after = read(after)
                items.append(item)
            return items, after
        if kind == ord(":"):
            return int(rest), after
        if kind == ord("_"):
            return None, after
        return (ErrorReply(rest.decode(errors="replace")) if kind == ord("-") else rest), after

    return read(0)[0]


class Connection:
    """A socket to 127.0.0.1:`port` that sends bytes in chosen cuts and reads whole replies. `patience` is how many seconds of silence it bears."""

    def __init__(self, port, protocol=2, patience=10.0, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port, self.patience = port, patience
        self.buffer, self.position, self.ended = bytearray(), 0, False
        if protocol == 3:
            self.ask("HELLO", 3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with a TCP reset instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _take(self):
        """The next whole reply in the buffer, or None."""
        end = reply_end(self.buffer, self.position)
        if end < 0:
            return None
        reply = bytes(self.buffer[self.position : end])
        self.position = end
        if self.position == len(self.buffer):
            self.buffer.clear()
            self.position = 0
        elif self.position > 1 << 20:
            del self.buffer[: self.position]
            self.position = 0
        return reply

    def _fill(self):
        """Reads what has come. A reset counts as an end: what came before it stays in the buffer."""
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.ended = True
        self.buffer += data

    def reply(self):
        """The next reply's bytes; raises Broken at the end of the stream or after `patience` seconds."""
        while (reply := self._take()) is None:
            if self.ended:
                raise Broken(f"the connection ended, with {bytes(self.buffer[self.position :][:200])!r} read of the next reply")
            try:
                self._fill()
            except TimeoutError:
                raise Broken(f"no reply within {self.patience} s; {len(self.buffer) - self.position} bytes read of it") from None
        return reply

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    def exchange(self, chunks, count):
        """Sends the chunks one by one while reading, as a server with bounded output demands; returns up to `count` replies: fewer where the connection ended."""
        found, chunks = [], list(chunks)
        chunks.reverse()
        view = memoryview(chunks.pop()) if chunks else None
        self.socket.setblocking(False)
        try:
            while len(found) < count:
                reply = self._take()
                if reply is not None:
                    found.append(reply)
                    continue
                if self.ended:
                    break
                readable, writable, _ = select.select([self.socket], [self.socket] if view is not None else [], [], self.patience)
                if not readable and not writable:
                    raise Broken(f"{len(found)} of {count} replies, then nothing for {self.patience} s; unread: {bytes(self.buffer[self.position :][:200])!r}")
                if readable:
                    self._fill()
                if writable:
                    try:
                        view = view[self.socket.send(view) :]
                    except (ConnectionResetError, BrokenPipeError):
                        view, chunks = None, []
                    except BlockingIOError:
                        pass
                    if view is not None and not view:
                        view = memoryview(chunks.pop()) if chunks else None
        finally:
            self.socket.settimeout(self.patience)
        return found

    def until_end(self):
        """Everything that comes until the server closes; raises Broken if it doesn't."""
        while not self.ended:
            try:
                self._fill()
            except TimeoutError:
                raise Broken(f"not closed within {self.patience} s; read so far: {bytes(self.buffer[self.position :][-200:])!r}") from None
        rest = bytes(self.buffer[self.position :])
        self.buffer.clear()
        self.position = 0
        return rest

    def ask(self, *arguments):
        """Sends one command and returns its reply's value; an error reply is raised."""
        self.send(request(*arguments))
        answer = value(self.reply())
        if isinstance(answer, ErrorReply):
            raise answer
        return answer


def eventually(condition, seconds=10.0, what="it"):
    """Waits until `condition()` is true, asking again and again; what a rig does instead of sleeping and hoping."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)
