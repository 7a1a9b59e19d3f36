"""newgate export and import: a jail as one stream, and streams that are damaged or hostile."""

import hashlib
import io
import os
import stat
import subprocess
import tarfile

import pytest

from test_store import NEWGATE, PATIENCE, Host, host  # noqa: F401  (a fixture)

CAP = bytes.fromhex("0100000200200000000000000000000000000000")
# user::rw-, user:1000:rwx, group::r--, mask::rwx, other::---
ACL = bytes.fromhex("02000000" "01000600ffffffff" "02000700e8030000" "04000400ffffffff" "10000700ffffffff"
                    "20000000ffffffff")


def other(host):
    """A second host beside the first."""
    root = host.root / "other"
    root.mkdir()
    return Host(root)


def export(host, *argv, to=None, fails=False, **options):
    """The stream, or the complaint where it is to fail."""
    got = subprocess.run([NEWGATE, "export", *argv], env=host.env, capture_output=True, timeout=PATIENCE,
                         **options)
    assert (got.returncode != 0) == fails, got.stderr
    if fails:
        return got.stderr.decode()
    if to:
        to.write_bytes(got.stdout)
    return got.stdout


def fill(root):
    """Files of every kind that a stream carries."""
    tree = root / "srv"
    tree.mkdir()
    tool = tree / "tool"
    tool.write_bytes(os.urandom(300000))
    os.chown(tool, 1000, 70001)
    tool.chmod(0o4755)
    os.setxattr(tool, "user.note", b"a\0b\nc")
    os.link(tool, tree / "again")
    (tree / "ping").write_text("ping")
    os.setxattr(tree / "ping", "security.capability", CAP)
    (tree / "list").write_text("x")
    os.setxattr(tree / "list", "system.posix_acl_access", ACL)
    os.symlink("/no/such", tree / "link")
    os.symlink("../../../..", tree / "up")
    os.mkfifo(tree / "pipe", 0o620)
    with open(tree / "sparse", "wb") as f:
        f.seek(1 << 20)
        f.write(b"middle")
        f.truncate(1 << 26)
    with open(tree / "hollow", "wb") as f:
        f.truncate(1 << 30)
    (tree / "empty").touch()
    deep = tree / ("n" * 200) / ("m" * 200)
    deep.mkdir(parents=True)
    (deep / "file").write_text("long")
    for name in (b"e\xcc\x81", b"\xc3\xa9", b"\xff\xfe", b"new\nline", b" ", b"a.b", b"a-b"):
        (tree / os.fsdecode(name)).write_bytes(name)
    (tree / "a").mkdir()
    (tree / "a" / "x").write_text("behind a.b by its bytes, before it by its folder")
    os.setxattr(tree / "a", "user.folder", b"yes")
    os.chmod(tree / "a", 0o2711)
    os.utime(tree / "a", ns=(1, 1234567890123456789))
    os.utime(tree / "link", ns=(1, 987654321987654321), follow_symlinks=False)
    os.utime(tree / "pipe", ns=(1, 5000000007))
    os.utime(tool, ns=(1, 1500000000000000001))


def look(root):
    """All that there is to know of a tree, by name."""
    found, first = {}, {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in sorted(folders + files) + ([b""] if folder == os.fsencode(root) else []):
            path = os.path.join(folder, name)
            rel = os.path.relpath(path, os.fsencode(root))
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            one = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
            if kind == stat.S_IFREG:
                one += [st.st_size, hashlib.sha256(open(path, "rb").read()).hexdigest()
                        if st.st_size < 1 << 29 else st.st_blocks < 64]
            if kind == stat.S_IFLNK:
                one.append(os.readlink(path))
            else:
                one += [(k, os.getxattr(path, k)) for k in sorted(os.listxattr(path))
                        if not k.startswith(("user.overlay.", "security.selinux", "trusted.newgate."))]
            if kind != stat.S_IFDIR:
                one.append(first.setdefault((st.st_dev, st.st_ino), rel))
            found[rel] = one
    return found


def made_by_hand(host, conf="web { path = /srv/web; host.hostname = www.example.org; persist; }\n"):
    """A jail whose root newgate knows by its path alone."""
    root = host.path("/srv/web")
    root.mkdir(parents=True)
    os.chmod(root, 0o751)
    (root / "etc").mkdir()
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    fill(root)
    host.conf(conf)
    return root


def nothing_came(host):
    assert host.trees() == [] and host.half_made() == []
    assert host.conf() == ""
    roots = host.path("/var/lib/newgate/roots")
    assert not roots.exists() or list(roots.iterdir()) == []
    assert not host.path("/srv/web").exists()
    left = [p for p in host.path("/srv").iterdir()] if host.path("/srv").exists() else []
    assert left == []


@pytest.mark.parametrize("compress", ["zstd", "none"])
def test_a_jail_comes_back_as_it_was(host, compress):  # noqa: F811
    root = made_by_hand(host)
    there = other(host)
    stream = host.root / "web.stream"
    export(host, "--compress", compress, "web", to=stream)
    out = there.newgate("import", str(stream))
    assert f"web: imported to /srv/web, added to {there.root}/etc/jail.conf" in out
    assert look(there.path("/srv/web")) == look(root)
    assert os.stat(there.path("/srv/web/srv/sparse")).st_blocks < 64
    assert os.stat(there.path("/srv/web/srv/hollow")).st_blocks == 0
    assert there.conf() == """\
# newgate begin web
web {
	path = /srv/web;
	host.hostname = www.example.org;
	persist;
}
# newgate end web
"""
    # And once more from there.
    assert export(there, "--compress", "none", "web").count(b"\0") > 0


def test_other_programs_read_a_stream(host):  # noqa: F811
    root = made_by_hand(host)
    stream = host.root / "web.stream"
    export(host, "web", to=stream)
    listed = subprocess.run(["tar", "--zstd", "-tf", stream], capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines()[:3] == ["newgate/stream", "newgate/jail.conf", "root/"]
    assert "root/srv/tool" in listed.stdout
    out = host.path("/out")
    out.mkdir()
    subprocess.run(["tar", "--zstd", "--xattrs", "--xattrs-include=*", "--acls", "--same-owner", "-xpf", stream, "-C",
                    out], check=True, capture_output=True)
    assert look(out / "root") == look(root)
    # The checksum at its end is of all that is before it.
    plain = subprocess.run(["zstd", "-dc", stream], capture_output=True, check=True).stdout
    assert hashlib.sha256(plain[:-512]).hexdigest().encode() in plain[-512:]


def test_what_newgate_keeps_as_layers_is_exported_whole(host):  # noqa: F811
    host.base()
    host.newgate("create", "web", "rdr=tcp 80", "ip4.addr=10.0.0.5", "meta.note=a \"b\" $c;d")
    upper = host.path("/var/lib/newgate/jails/web/upper")
    fill(upper)
    os.mknod(upper / "bin", stat.S_IFCHR, 0)  # what the jail removed of its template
    there = other(host)
    stream = host.root / "web.stream"
    export(host, "web", to=stream)
    assert "imported to /var/lib/newgate/roots/web" in there.newgate("import", str(stream))
    root = there.path("/var/lib/newgate/roots/web")
    assert not (root / "bin").exists()
    assert look(root / "srv") == look(upper / "srv")
    assert (root / "etc/rc").exists()
    assert (root / "etc/machine-id").read_text() == (upper / "etc/machine-id").read_text()
    # The block is the same too.
    assert there.conf() == host.conf()


def test_under_another_name_it_is_a_copy(host):  # noqa: F811
    host.base()
    host.newgate("create", "web", "rdr=tcp 80", "ip4.addr=10.0.0.5", "allow.raw_sockets")
    upper = host.path("/var/lib/newgate/jails/web/upper")
    (upper / "etc/ssh").mkdir(exist_ok=True)
    (upper / "etc/ssh/ssh_host_rsa_key").write_text("secret")
    stream = host.root / "web.stream"
    export(host, "web", to=stream)
    with open(stream, "rb") as f:
        got = subprocess.run([NEWGATE, "import", "-", "web2", "allow.mlock"], stdin=f, env=host.env,
                             capture_output=True, text=True, timeout=PATIENCE)
    assert got.returncode == 0, got.stderr
    block = host.conf().partition("# newgate begin web2\n")[2]
    assert "rdr" not in block and "10.0.0.5" not in block and "ip4.addr = auto;" in block
    assert "allow.raw_sockets;" in block and "allow.mlock;" in block and "host.hostname = web2;" in block
    root = host.path("/var/lib/newgate/roots/web2")
    assert (root / "etc/hostname").read_text() == "web2\n"
    assert (root / "etc/machine-id").read_text() != (upper / "etc/machine-id").read_text()
    assert not (root / "etc/ssh/ssh_host_rsa_key").exists()


def test_a_configured_jail_gets_only_its_tree(host):  # noqa: F811
    root = made_by_hand(host)
    stream = host.root / "web.stream"
    export(host, "web", to=stream)
    there = other(host)
    conf = "# mine\nweb {\n  path = /elsewhere/web;\n  persist;\n}\n"
    there.conf(conf)
    assert "jail.conf:2: web is configured already" in there.newgate("import", str(stream), "web", "allow.mlock",
                                                                     fails=True)
    there.newgate("import", str(stream))
    assert there.conf() == conf
    assert look(there.path("/elsewhere/web")) == look(root)
    assert "web has a tree already" in there.newgate("import", str(stream), fails=True)


def test_what_would_collide_is_told_before_anything_is_made(host):  # noqa: F811
    made_by_hand(host, "web { path = /srv/web; ip4.addr = 10.0.0.5; rdr = \"tcp 80\"; persist; }\n")
    stream = host.root / "web.stream"
    export(host, "web", to=stream)
    there = other(host)
    conf = ("mail { path = /srv/mail; ip4.addr = 10.0.0.6; rdr = \"tcp 80\"; persist; }\n"
            "bad { path = relative; }\n")
    there.conf(conf)
    text = there.newgate("import", str(stream), fails=True)
    assert "tcp 80" in text and "mail" in text and "relative" not in text
    assert there.conf() == conf and there.trees() == [] and not there.path("/srv/web").exists()
    there.newgate("import", str(stream), "web", "rdr=tcp 81", "ip4.addr=10.0.0.7")
    assert "rdr = \"tcp 81\";" in there.conf()


def test_arguments_replace_what_the_stream_says(host):  # noqa: F811
    made_by_hand(host)
    stream = host.root / "web.stream"
    export(host, "web", to=stream)
    there = other(host)
    out = there.newgate("import", str(stream), "path=/srv/elsewhere", "host.hostname=b.example.org")
    assert "imported to /srv/elsewhere" in out
    assert there.path("/srv/elsewhere/srv/tool").exists() and not there.path("/srv/web").exists()


def test_devices_and_sockets_are_left_out_and_told(host):  # noqa: F811
    root = made_by_hand(host)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    got = subprocess.run([NEWGATE, "export", "web"], env=host.env, capture_output=True, timeout=PATIENCE)
    assert got.returncode == 0 and b"left out what no stream carries: null" in got.stderr
    assert b"root/null" not in subprocess.run(["zstd", "-dc"], input=got.stdout, capture_output=True, check=True).stdout


def test_what_cannot_be_exported_is_told(host):  # noqa: F811
    host.conf("web { path = /srv/web; persist; }\n")
    assert "/srv/web: No such file or directory" in export(host, "web", fails=True)
    assert "there is no jail wbe (did you mean \"web\"?)" in export(host, "wbe", fails=True)
    assert "usage: newgate export" in export(host, "--compress", "lzma", "web", fails=True)


def test_a_full_disk_is_told(host):  # noqa: F811
    made_by_hand(host)
    with open("/dev/full", "wb") as full:
        got = subprocess.run([NEWGATE, "export", "web"], env=host.env, stdout=full, stderr=subprocess.PIPE,
                             timeout=PATIENCE)
    assert got.returncode == 1 and b"exporting web: No space left on device" in got.stderr


def test_a_reader_that_goes_away_is_told(host):  # noqa: F811
    made_by_hand(host)
    ours, theirs = os.pipe()
    os.close(ours)
    got = subprocess.run([NEWGATE, "export", "web"], env=host.env, stdout=theirs, stderr=subprocess.PIPE,
                         timeout=PATIENCE)
    os.close(theirs)
    assert got.returncode == 1 and b"exporting web: Broken pipe" in got.stderr


# ---- damage ----

def small(host):  # noqa: F811
    root = host.path("/srv/web")
    (root / "etc").mkdir(parents=True)
    (root / "etc/hostname").write_text("web\n")
    (root / "data").write_bytes(os.urandom(3000))
    os.symlink("data", root / "link")
    host.conf("web { path = /srv/web; persist; }\n")
    return host.root / "web.stream"


@pytest.mark.parametrize("compress", ["zstd", "none"])
def test_a_stream_that_is_cut_short_is_refused(host, compress):  # noqa: F811
    stream = small(host)
    whole = export(host, "--compress", compress, "web")
    there = other(host)
    step = max(1, len(whole) // 40)
    for cut in sorted({*range(0, len(whole), step), *range(len(whole) - 8, len(whole))}):
        stream.write_bytes(whole[:cut])
        there.newgate("import", str(stream), fails=True)
        nothing_came(there)
    stream.write_bytes(whole)
    there.newgate("import", str(stream))


@pytest.mark.parametrize("compress", ["zstd", "none"])
def test_a_stream_that_was_altered_is_refused(host, compress):  # noqa: F811
    stream = small(host)
    whole = export(host, "--compress", compress, "web")
    there = other(host)
    # The frame's first bytes tell how to decompress it, and not what is in it.
    for at in range(len(whole) - 1, 12, -max(1, len(whole) // 60)):
        bad = bytearray(whole)
        bad[at] ^= 1 << at % 8
        stream.write_bytes(bad)
        there.newgate("import", str(stream), fails=True)
        nothing_came(there)
    for bad in (whole + b"more", whole + whole, b"x" + whole):
        stream.write_bytes(bad)
        there.newgate("import", str(stream), fails=True)
        nothing_came(there)


# ---- strangers ----

INFO = "newgate-stream 1\njail web\nmade 1\nbytes 1\n"
CONF = "web {\n\tpath = /srv/web;\n\tpersist;\n}\n"


class Forged:
    """A stream that newgate did not write, with a checksum that fits."""

    def __init__(self, info=INFO, conf=CONF, root=True):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT)
        if info is not None:
            self.file("newgate/stream", info)
        if conf is not None:
            self.file("newgate/jail.conf", conf)
        if root:
            self.add("root", tarfile.DIRTYPE, mode=0o755)

    def add(self, name, kind, text="", **fields):
        one = tarfile.TarInfo(name)
        one.type = kind
        one.size = len(text) if kind == tarfile.REGTYPE else 0
        for key, value in fields.items():
            setattr(one, key, value)
        self.tar.addfile(one, io.BytesIO(text.encode()))
        return self

    def file(self, name, text="x", **fields):
        return self.add(name, tarfile.REGTYPE, text, **fields)

    def folder(self, name):
        return self.add(name, tarfile.DIRTYPE, mode=0o755)

    def link(self, name, to):
        return self.add(name, tarfile.SYMTYPE, linkname=to)

    def hard(self, name, to):
        return self.add(name, tarfile.LNKTYPE, linkname=to)

    def device(self, name, kind=tarfile.CHRTYPE):
        return self.add(name, kind, devmajor=1, devminor=3)

    def bytes(self):
        self.tar.close()
        body = self.out.getvalue()
        end = (f"newgate-stream-end 1\nbytes {len(body):020}\n"
               f"sha256 {hashlib.sha256(body).hexdigest()}\n").encode()
        return body + end.ljust(512, b"\n")


HOSTILE = {
    "absolute": (lambda f, evil: f.file(evil), "is not below root"),
    "absolute below root": (lambda f, evil: f.file("root/" + evil), "this name leads out of the tree"),
    "parents": (lambda f, evil: f.file("root/../../evil"), "this name leads out of the tree"),
    "parents of the whole": (lambda f, evil: f.file("../evil"), "is not below root"),
    "parents within": (lambda f, evil: f.folder("root/a").file("root/a/../b"), "this name leads out of the tree"),
    "beside root": (lambda f, evil: f.file("rooted/evil"), "is not below root"),
    "through a link": (lambda f, evil: f.link("root/a", "../..").file("root/a/evil"), "goes through a link"),
    "a folder through a link": (lambda f, evil: f.link("root/a", "../..").folder("root/a/evil"),
                                "goes through a link"),
    "root itself a link": (lambda f, evil: f.link("root", "/"), "root"),
    "a folder that becomes a link": (
        lambda f, evil: f.folder("root/a").file("root/a/x").link("root/a", "../..").file("root/a/evil"),
        "a: is not in its place, behind a/x"),
    "a folder that becomes a link by another spelling": (
        lambda f, evil: f.folder("root/a").file("root/a/x").link("root/a/.", "../..").file("root/a/y"), "a/."),
    "a link that becomes a folder": (lambda f, evil: f.link("root/a", "../..").folder("root/a"), "a: is in it twice"),
    "twice": (lambda f, evil: f.file("root/a").file("root/a"), "a: is in it twice"),
    "twice by another spelling": (lambda f, evil: f.file("root/a").file("root/./a"), "a"),
    "twice later": (lambda f, evil: f.file("root/a").file("root/b").file("root/a"), "is not in its place"),
    "not in order": (lambda f, evil: f.file("root/b").file("root/a"), "is not in its place"),
    "no folder": (lambda f, evil: f.file("root/a/b"), "a/b: No such file or directory"),
    "a file as a folder": (lambda f, evil: f.file("root/a").file("root/a/b"), "goes through a link or a file"),
    "a device": (lambda f, evil: f.device("root/null"), "null: is a device"),
    "a block device": (lambda f, evil: f.device("root/disk", tarfile.BLKTYPE), "disk: is a device"),
    "a hard link out": (lambda f, evil: f.hard("root/stolen", "../../../secret"), "which is not below root"),
    "an absolute hard link": (lambda f, evil: f.hard("root/stolen", "/etc/shadow"), "which is not below root"),
    "a hard link up": (lambda f, evil: f.hard("root/stolen", "root/../../../../secret"),
                       "this name leads out of the tree"),
    "a hard link through a link": (
        lambda f, evil: f.link("root/a", "../../../..").hard("root/b", "root/a/secret"), "goes through a link"),
    "a hard link to nothing": (lambda f, evil: f.hard("root/a", "root/b"), "No such file or directory"),
    "a hard link to newgate's own": (lambda f, evil: f.hard("root/a", "newgate/stream"), "which is not below root"),
    "newgate's own, later": (lambda f, evil: f.file("newgate/jail.conf"), "is not below root"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_files_that_try_to_escape_are_refused(host, what):  # noqa: F811
    make, text = HOSTILE[what]
    secret = host.root / "secret"
    secret.write_text("the host's")
    there = other(host)
    evil = host.root / "evil"
    stream = host.root / "forged"
    stream.write_bytes(make(Forged(root=what != "root itself a link"), str(evil)).bytes())
    said = there.newgate("import", str(stream), fails=True)
    assert text in said, said
    nothing_came(there)
    assert not evil.exists() and os.stat(secret).st_nlink == 1
    assert not list(host.root.rglob("evil"))


@pytest.mark.parametrize("info,conf,text", [
    (None, None, "this is not what newgate export writes"),
    (None, CONF, "this is not what newgate export writes"),
    ("", CONF, "newgate/stream is not text"),
    ("newgate-stream 2\njail web\n", CONF, "take a newer newgate"),
    ("newgate-stream 1\nmade 1\n", CONF, "does not say of which jail"),
    ("newgate-stream 1\njail ../web\n", CONF, "cannot be called"),
    ("newgate-stream 1\njail web\njail mail\n", CONF, "makes no sense"),
    ("newgate-stream 1\njail web\npath srv\n", CONF, "is not absolute"),
    ("newgate-stream 1\njail web\nsince a\n", CONF, "half of what it begins at"),
    (INFO, "web {\n", "the stream's jail.conf:"),
    (INFO, "mail { persist; }\n", "is not the block of web alone"),
    (INFO, CONF + "mail { persist; }\n", "is not the block of web alone"),
    (INFO, "exec.prestart = \"evil\";\n" + CONF, "is not the block of web alone"),
    (INFO, ".include \"/etc/passwd\";\n" + CONF, "the stream's jail.conf"),
    (INFO, "web {\n\tpath = srv;\n}\n", "path"),
    (INFO, "web {\n\tpath = /;\n\tpersist;\n}\n", "exists and is not empty"),
    (INFO, "web {\n\tpath = /srv/web;\n\tpersits;\n}\n", "persits"),
    (INFO, "web\0{ persist; }\n", "is not text"),
    ("newgate-stream 1\njail web\n" + "x y\n" * 20000, CONF, "is not a small file"),
])
def test_what_a_stream_says_of_itself_is_not_believed(host, info, conf, text):  # noqa: F811
    stream = host.root / "forged"
    stream.write_bytes(Forged(info, conf).file("root/a").bytes())
    assert text in host.newgate("import", str(stream), fails=True)
    assert host.conf() == "" and host.trees() == [] and host.half_made() == []


def test_no_files_at_all_are_refused(host):  # noqa: F811
    stream = host.root / "forged"
    stream.write_bytes(Forged(root=False).bytes())
    assert "the stream holds no files" in host.newgate("import", str(stream), fails=True)
    stream.write_bytes(Forged(root=False).file("root/a").bytes())
    assert "is in the stream before root" in host.newgate("import", str(stream), fails=True)
    (host.root / "empty").touch()
    host.newgate("import", str(host.root / "empty"), fails=True)
    assert "No such file" in host.newgate("import", str(host.root / "nothing"), fails=True)
    nothing_came(host)


def test_a_forged_stream_that_is_honest_is_taken(host):  # noqa: F811
    """So that the others are refused for what they do, not for how they were made."""
    stream = host.root / "forged"
    stream.write_bytes(Forged().folder("root/a").file("root/a/x", "x").link("root/b", "../..")
                       .hard("root/c", "root/a/x").bytes())
    host.newgate("import", str(stream))
    assert host.read("/srv/web/c") == "x"
