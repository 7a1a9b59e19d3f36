"""A virtual machine, driven from here.

    m = Machine(folder)                   boots; returns when its agent answers
    m.sh("jls name", timeout=20)          a shell's script in it, fails loudly; its standard output
    m.reboot()                            by systemd, and back
    m.cut_power()                         and back
    m.close()                             ends it

It has no network. The agent (guest/usr/local/libexec/agent) speaks over a virtio serial port, one line
a request and one a reply; the kernel and systemd write to the serial console, kept in FOLDER/console."""

import base64
import contextlib
import os
import select
import shutil
import socket
import subprocess
import time

import image

# A processor in software, perhaps on a machine that has other things to do: ten times what it takes.
BOOT = 300
PATIENCE = 60


class Failed(AssertionError):
    """A command that should have succeeded (or failed) did not."""


def missing():
    """Why there can be no virtual machine here, or None."""
    if os.geteuid() != 0:
        return "needs root: it makes a Debian root with mmdebstrap"
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("mmdebstrap", "mmdebstrap"),
                             ("mke2fs", "e2fsprogs"), ("meson", "meson")):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"no {program}: install the package {package}"
    return None


class Machine:
    def __init__(self, folder):
        self.folder = folder
        self.console = folder / "console"
        self.boot = image.disk(folder / "disk")
        self.took = []  # seconds, each boot
        self.port = None
        self._start()

    def _start(self):
        """Each boot is a process of its own: with -kernel, a reset leads nowhere in some versions."""
        started = time.monotonic()
        kernel, = self.boot.glob("vmlinuz-*")
        initrd, = self.boot.glob("initrd.img-*")
        port = self.folder / "agent"
        port.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(port))
        listener.listen(1)
        self.qemu = subprocess.Popen([
            # Whatever becomes of us, it does not stay.
            "setpriv", "--pdeathsig", "KILL",
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "qemu64",
            "-smp", "2", "-m", "1024",
            "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-nic", "none",
            "-kernel", kernel, "-initrd", initrd,
            "-append", "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off systemd.show_status=error",
            "-drive", f"file={self.folder}/disk,format=raw,if=virtio,cache=unsafe",
            "-device", "virtio-rng-pci",
            "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={port}",
            "-device", "virtserialport,chardev=agent,name=agent",
        ], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.lines = b""
        self.broken = None
        try:
            with listener:
                self.port = self._accept(listener)
            word, self.boot_id = self._line(BOOT).split()
            assert word == "ready", word
        except BaseException:
            self.close()
            raise
        self.took.append(time.monotonic() - started)

    def _accept(self, listener):
        """qemu's connection, or why there is none."""
        process = os.pidfd_open(self.qemu.pid)
        try:
            ready, _, _ = select.select([listener, process], [], [], BOOT)
        finally:
            os.close(process)
        if listener not in ready:
            self.qemu.kill()
            raise Failed(f"qemu did not start: {self.qemu.communicate()[1]}")
        return listener.accept()[0]

    def _line(self, timeout):
        """A line of the agent's. Once it did not come, later ones would answer something else."""
        end = time.monotonic() + timeout
        while b"\n" not in self.lines:
            self.port.settimeout(max(end - time.monotonic(), 0.001))
            try:
                got = self.port.recv(65536)
            except TimeoutError:
                self.broken = f"no answer in {timeout} s"
            else:
                self.broken = None if got else "it went down"
                self.lines += got
            if self.broken:
                raise Failed(f"{self.broken}; the console says\n{self.tail()}") from None
        line, _, self.lines = self.lines.partition(b"\n")
        return line.decode()

    def tail(self):
        with contextlib.suppress(OSError):
            return "\n".join(self.console.read_text(errors="replace").splitlines()[-60:])
        return "(nothing)"

    def close(self):
        """Pulls the plug."""
        if self.port:
            self.port.close()
            self.port = None
        self.qemu.kill()
        self.qemu.wait()
        self.qemu.stderr.close()

    # --- commands ---

    def _send(self, script, timeout):
        if self.broken:
            raise Failed(f"the machine is lost since: {self.broken}")
        self.port.settimeout(PATIENCE)
        self.port.sendall(f"{timeout} {base64.b64encode(script.encode()).decode()}\n".encode())

    def ask(self, script, timeout=PATIENCE):
        """A shell's script in the machine: its exit status (124: it took too long), standard output
        and error output."""
        self._send(script, timeout)
        status, out, err = self._line(timeout + PATIENCE).split(" ")
        return subprocess.CompletedProcess(
            script, int(status), *(base64.b64decode(x[1:]).decode(errors="replace") for x in (out, err)))

    def sh(self, script, status=0, timeout=PATIENCE):
        """The same, and its standard output alone; `status` is what it must exit with
        (None: anything)."""
        done = self.ask(script, timeout)
        if status is not None and done.returncode != status:
            raise Failed(f"{script}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path, text):
        code = base64.b64encode(text.encode()).decode()
        self.sh(f"mkdir -p $(dirname {path}) && printf %s {code} | base64 -d >{path}")

    def reboot(self):
        # Perhaps the agent is gone before it can answer.
        self._send("systemctl --no-block reboot", PATIENCE)
        try:
            self.qemu.wait(BOOT)
        except subprocess.TimeoutExpired:
            raise Failed(f"it does not go down\n{self.tail()}") from None
        self._again()

    def cut_power(self):
        self._again()

    def _again(self):
        before = self.boot_id
        self.close()
        self._start()
        assert self.boot_id != before
