"""A client of HTTP/1.1 over one connection that is kept open. Standard library only."""

import asyncio
import json


class Refused(Exception):
    """A request without a response."""


class Client:
    """Sends one request at a time, each once: a lost connection is reported, not hidden by a retry."""

    def __init__(self, port: int, token: str | None = None):
        self.port = port
        self.token = token
        self.connection = None

    async def send(self, method: str, path: str, body=None, headers=()) -> tuple[int, dict, object]:
        """Returns the status, the headers and the decoded body."""
        if self.connection is None:
            self.connection = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            return await self._exchange(method, path, body, headers)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise Refused(f"{method} {path}: {error!r}") from error

    def close(self) -> None:
        if self.connection:
            self.connection[1].close()
        self.connection = None

    async def _exchange(self, method, path, body, headers):
        reader, writer = self.connection
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
        if body is not None:
            lines.append("Content-Type: application/json")
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        status, received = await read_head(reader)
        if "chunked" in received.get("transfer-encoding", ""):
            data = b"".join([chunk async for chunk in chunks(reader)])
        else:
            data = await reader.readexactly(int(received.get("content-length", 0)))
        if received.get("connection") == "close":
            self.close()
        is_json = "json" in received.get("content-type", "")
        return status, received, json.loads(data) if data and is_json else data


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(head[0].split()[1]), headers


async def chunks(reader: asyncio.StreamReader):
    """Yields the chunks of a body until its end."""
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
