"""A name server for tests (not called dns, which is the name of dnspython): answers, in a namespace of
the VPS, what a zone in text form has.

    with Dns(vps, "internet", "198.51.100.53", "example.org. MX 10 mail.example.org.") as dns:
        ...
        dns.load("…")       # another zone, at once
        dns.asked           # the names and types that it was asked for

A name that the zone does not have, nor anything below it, does not exist; `broken` names get SERVFAIL."""

import contextlib
import ipaddress
import re
import socket
import struct
import threading

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257}
NAMES = {number: name for name, number in TYPES.items()}
LINE = re.compile(r"""^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?(%s)\s+([^;"]*(?:"[^"]*"[^;"]*)*)""" % "|".join(TYPES))


def wire_name(name):
    labels = [part.encode() for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in labels) + b"\0"


def wire_data(kind, text):
    words = text.split()
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(words[0]).packed
    if kind in ("CNAME", "PTR"):
        return wire_name(words[0])
    if kind == "MX":
        return struct.pack(">H", int(words[0])) + wire_name(words[1])
    if kind == "SRV":
        return struct.pack(">HHH", *map(int, words[:3])) + wire_name(words[3])
    strings = [s.encode() for s in re.findall(r'"([^"]*)"', text)]
    if kind == "CAA":
        return bytes([int(words[0]), len(words[1])]) + words[1].encode() + strings[0]
    assert all(len(s) < 256 for s in strings), text
    return b"".join(bytes([len(s)]) + s for s in strings)


class Dns:
    def __init__(self, vps, where, address, zone="", port=53):
        self.asked, self.broken = [], set()
        self.load(zone)
        self.udp = vps.listen(where, "udp", address, port)
        self.tcp = vps.listen(where, "tcp", address, port)
        self.threads = [threading.Thread(target=serve) for serve in (self._serve_udp, self._serve_tcp)]

    def __enter__(self):
        for s in (self.udp, self.tcp):
            s.settimeout(None)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for s in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for s in (self.udp, self.tcp):
            s.close()

    def load(self, zone):
        """Lines "NAME [TTL] [IN] TYPE DATA" and $ORIGIN; others are left out."""
        records, origin = {}, ""
        for line in zone.splitlines():
            if line.startswith("$ORIGIN "):
                origin = line.split()[1].rstrip(".")
            elif found := LINE.match(line):
                name, kind, data = found.groups()
                name = origin if name == "@" else name[:-1] if name.endswith(".") else f"{name}.{origin}"
                records.setdefault(name.lower(), []).append((kind, data.strip()))
        self.records = records

    # --- answers ---

    def _answers(self, name, kind):
        for _ in range(8):
            there = self.records.get(name, [])
            for k, data in there:
                if k in (kind, "CNAME"):
                    yield name, k, data
            alias = next((data for k, data in there if k == "CNAME"), None)
            if not alias or kind == "CNAME":
                return
            name = alias.rstrip(".").lower()

    def _exists(self, name):
        return any(n == name or n.endswith("." + name) for n in self.records)

    def answer(self, query, limit):
        number, _, _, _, _, extra = struct.unpack(">HHHHHH", query[:12])
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name = ".".join(labels).lower()
        kind = NAMES.get(struct.unpack(">H", query[at + 1:at + 3])[0], "")
        question = query[12:at + 5]
        self.asked.append((name, kind))
        if extra:
            limit = max(limit, struct.unpack(">H", query[at + 5 + 3:at + 5 + 5])[0])
        found = [] if name in self.broken else list(self._answers(name, kind))
        code = 2 if name in self.broken else 0 if found or self._exists(name) else 3
        body = b"".join(
            wire_name(n) + struct.pack(">HHIH", TYPES[k], 1, 60, len(data := wire_data(k, text))) + data
            for n, k, text in found)
        if 12 + len(question) + len(body) > limit:
            return struct.pack(">HHHHHH", number, 0x8780, 1, 0, 0, 0) + question
        return struct.pack(">HHHHHH", number, 0x8580 | code, 1, len(found), 0, 0) + question + body

    def _serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.udp.recvfrom(4096)
                if not query:
                    return
                self.udp.sendto(self.answer(query, 512), peer)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.tcp.accept()
                with conn:
                    conn.settimeout(10)
                    size = struct.unpack(">H", conn.recv(2, socket.MSG_WAITALL))[0]
                    answer = self.answer(conn.recv(size, socket.MSG_WAITALL), 65535)
                    conn.sendall(struct.pack(">H", len(answer)) + answer)
