"""The rest of the internet (the program `world` beside this file, whose head tells what is there),
seen from Python.

    world.send("x@remote.example", "alice@example.org", letter)    the far side's Postfix sends it
    raw = world.letter("the subject")                              what came to remote.example
    assert world.verified(raw)                                     its DKIM signature, by the DNS's key
    world.zone("example.org", "@ MX 10 mail\\nmail A 203.0.113.10\\n")
    world.swaks("--to", "alice@example.org")                       says what happened, fails never
    world.run("postqueue", "-p")                                   a command of the far side's machine"""

import subprocess
from pathlib import Path

import dkim
import dns.resolver

from vps import Failed

PROGRAM = Path(__file__).resolve().parent / "world"
HOST = "203.0.113.10"


class World:
    ns = "203.0.113.53"
    mx = "198.51.100.25"
    directory = "https://acme.example.net/dir"

    def __init__(self, vps, tar):
        self.vps = vps
        self.folder = vps.folder / "world"
        self.ca = self.folder / "ca.pem"
        self.process = vps.popen(PROGRAM, self.folder, tar, stdin=subprocess.PIPE, stderr=None)
        ready, _, pid = self.process.stdout.readline().strip().partition(" ")
        if ready != "ready":
            raise Failed("the world did not begin")
        self.enter = ("nsenter", "--target", pid, "--mount", "--net", "--uts", "--pid",
                      "chroot", self.folder / "root")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)

    def ask(self, command):
        print(command, file=self.process.stdin, flush=True)
        word, _, answer = self.process.stdout.readline().strip().partition(" ")
        if word != "ok":
            raise Failed(f"the world, asked for \"{command}\": {answer or 'it ended'}")
        return answer

    # --- names ---

    def zone(self, name, text):
        """The zone's records from now on, below its SOA and NS; None: there is no such zone."""
        file = self.folder / "zone"
        file.write_text(text or "")
        self.ask(f"zone {name} {file if text is not None else ''}")

    def lookup(self, name, kind):
        """What the name server says: the records; none where there is no such name."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self.ns]
        with self.vps.within("internet"):
            try:
                return list(resolver.resolve(name, kind))
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                return []

    def publish(self, more=""):
        """What the domain's owner is told to publish."""
        printed = self.vps.run("newgate", "host", "dns", "example.org").stdout
        self.zone("example.org", f"{printed}\n@ A {HOST}\n@ AAAA 2001:db8::10\n{more}")

    # --- mail ---

    def run(self, *argv, **options):
        return self.vps.run(*self.enter, *argv, **options)

    def send(self, sender, to, text):
        """By its own Postfix, which finds out where to, and tries again where it must."""
        self.run("sendmail", "-f", sender, to, input=text)

    def letter(self, subject):
        """One that came to remote.example or remote6.example, as it was stored; waits for it."""
        return Path(self.ask(f"letter {subject}")).read_bytes()

    def swaks(self, *options, server=HOST):
        """One delivery by hand, as somebody at 198.51.100.7; its exit status tells how far it came."""
        return self.run("swaks", "--server", server, "--local-interface", "198.51.100.7", "--helo",
                        "somebody.example.net", *options, status=None, timeout=60)

    def verified(self, raw):
        """Whether its DKIM signature holds, for dkimpy with the key that the DNS has."""
        def txt(name, timeout=5):
            return b"".join(part for r in self.lookup(name.decode(), "TXT") for part in r.strings) or None

        return dkim.verify(raw, dnsfunc=txt)

    # --- certificates ---

    def root(self):
        """A file with the certificate of Pebble's root, which vouches for what it issued."""
        file = self.folder / "pebble.pem"
        self.vps.run("curl", "-sS", "--cacert", self.ca, "-o", file,
                     "https://acme.example.net:15000/roots/0")
        return file
