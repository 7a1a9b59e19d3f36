"""Templates from OCI image layouts: the trees that other tools unpack, what a config means for a jail,
and images that lie."""

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile

import pytest

from test_store import host  # noqa: F401 (a fixture)

# What every template gets of newgate's, see newgate-template(8).
OURS = {"dev", "proc", "sys", "run", "tmp", "etc", "etc/rc", "etc/rc.shutdown", "etc/hosts", "etc/resolv.conf",
        "etc/hostname", "etc/machine-id", ".", "etc/rc.conf"}
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


class Layout:
    """An image layout, written file by file."""

    def __init__(self, path):
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.index = []

    def blob(self, data, kind):
        digest = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    def image(self, tag, layers, config=None, **changes):
        """layers: tar archives. changes: of the config."""
        whole = {"os": "linux", "architecture": MACHINE, "config": config or {}, **changes,
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in layers]}}
        manifest = {"schemaVersion": 2,
                    "config": self.blob(json.dumps(whole).encode(), "config.v1+json"),
                    "layers": [self.blob(gzip.compress(tar), "layer.v1.tar+gzip") for tar in layers]}
        entry = self.blob(json.dumps(manifest).encode(), "manifest.v1+json")
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
        self.index.append(entry)
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.index}))
        return manifest

    def file(self, descriptor):
        return self.path / "blobs/sha256" / descriptor["digest"].partition(":")[2]


def tar(*entries):
    """(name, text), (name, None) for a folder, or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                t.addfile(entry)
                continue
            name, text = entry
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if text is None:
                info.type = tarfile.DIRTYPE
                t.addfile(info)
            else:
                info.size = len(text)
                t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def facts(root):
    """Everything about every file of a tree."""
    found, first = {}, {}
    for folder, dirs, files in os.walk(root):
        for name in dirs + files + ["."]:
            path = os.path.join(folder, name)
            rel = os.path.normpath(os.path.relpath(path, root))
            st = os.lstat(path)
            if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                continue
            fact = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid]
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    fact += [hashlib.sha256(f.read()).hexdigest(), st.st_mtime_ns // 10**9]
                # Hard links: to which file of the same number it was first seen.
                fact.append(first.setdefault(st.st_ino, rel) if st.st_nlink > 1 else None)
            if stat.S_ISLNK(st.st_mode):
                fact.append(os.readlink(path))
            else:
                fact.append(sorted((x, os.getxattr(path, x)) for x in os.listxattr(path)
                                   if x.startswith("user.") or x == "security.capability"))
            found[rel] = fact
    return found


def run(*argv):
    got = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert got.returncode == 0, got.stdout + got.stderr
    return got.stdout


@pytest.fixture
def umoci(host):  # noqa: F811
    if not shutil.which("umoci") or not shutil.which("skopeo"):
        pytest.skip("umoci and skopeo are not installed")
    return host


def real_image(host):  # noqa: F811
    """An image of three layers by umoci, with what makes layers hard."""
    layout, bundle = host.root / "image", host.root / "bundle"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:base")
    run("umoci", "unpack", "--image", f"{layout}:base", bundle)
    root = bundle / "rootfs"
    for folder in ("bin", "etc", "usr/share/doc/a", "usr/share/doc/b", "var/lib/x", "srv"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "env", "cat", "sleep", "id", "pwd"):
        os.link(root / "bin/busybox", root / "bin" / name)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nweb:x:34:\n")
    os.setxattr(root / "etc/passwd", "user.note", b"first")
    shutil.copy("/bin/busybox", root / "bin/ping")
    os.setxattr(root / "bin/ping", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    for i in range(20):
        (root / f"usr/share/doc/a/{i}").write_text(str(i))
        (root / f"usr/share/doc/b/{i}").write_text(str(i) * 1000)
    os.symlink("../usr/share/doc", root / "var/doc")
    os.symlink("/usr/share", root / "share")
    os.chown(root / "srv", 33, 34)
    os.chmod(root / "srv", 0o2770)
    os.mkfifo(root / "srv/said")
    os.chmod(root / "srv/said", 0o666)
    os.utime(root / "usr/share/doc/a/3", (0, 1234567890))
    run("umoci", "repack", "--image", f"{layout}:one", bundle)
    shutil.rmtree(root / "usr/share/doc/a")
    (root / "usr/share/doc/b/7").unlink()
    (root / "usr/share/doc/b/8").write_text("changed")
    (root / "var/lib/x").rmdir()
    (root / "var/lib/x").write_text("a file now")
    (root / "share").unlink()
    (root / "share").mkdir(mode=0o711)
    run("umoci", "repack", "--image", f"{layout}:two", bundle)
    (root / "usr/share/doc/a").mkdir()
    (root / "usr/share/doc/a/new").write_text("new")
    os.chown(root / "usr/share/doc/b/8", 5, 6)
    run("umoci", "repack", "--image", f"{layout}:three", bundle)
    run("umoci", "config", "--image", f"{layout}:three", "--config.user", "web", "--config.workingdir", "/srv",
        "--config.env", "GREETING=hello there", "--config.env", "PATH=/bin", "--config.cmd", "sh", "--config.cmd",
        "-c", "--config.cmd", 'echo "$GREETING" $(id -un) $(pwd) >/srv/said; exec sleep 1000')
    return layout


def test_the_tree_that_umoci_unpacks(umoci):
    layout = real_image(umoci)
    for tag in ("one", "two", "three"):
        theirs = umoci.root / f"theirs-{tag}"
        run("umoci", "unpack", "--image", f"{layout}:{tag}", theirs)
        umoci.newgate("template", "create", tag, "--from", f"oci:{layout}:{tag}")
        ours = facts(umoci.path(f"/var/lib/newgate/templates/{tag}/root"))
        wanted = facts(theirs / "rootfs")
        assert {k: v for k, v in ours.items() if k not in OURS} == {k: v for k, v in wanted.items() if k not in OURS}
        assert len(wanted) > 25
    # The same through skopeo, which writes the layout anew.
    copy = umoci.root / "copy"
    run("skopeo", "copy", f"oci:{layout}:three", f"oci:{copy}:x")
    umoci.newgate("template", "create", "copied", "--from", f"oci:{copy}", "--fresh")
    copied = facts(umoci.path("/var/lib/newgate/templates/copied/root"))
    assert {k: v for k, v in copied.items() if k not in OURS} == {k: v for k, v in ours.items() if k not in OURS}


@pytest.mark.parametrize("pack", [lambda d: d, gzip.compress,
                                  lambda d: subprocess.run(["zstd", "-c"], input=d, capture_output=True, check=True).stdout],
                         ids=["plain", "gzip", "zstd"])
def test_layers_as_they_are_packed(host, pack):  # noqa: F811
    layout = Layout(host.root / "image")
    archive = tar(("etc", None), ("etc/x", "text"))
    manifest = layout.image("a", [archive])
    manifest["layers"] = [layout.blob(pack(archive), "layer.v1.tar")]
    layout.index = [layout.blob(json.dumps(manifest).encode(), "manifest.v1+json")]
    (layout.path / "index.json").write_text(json.dumps({"manifests": layout.index}))
    host.newgate("template", "create", "t", "--from", f"oci:{layout.path}")
    assert host.read("/var/lib/newgate/templates/t/root/etc/x") == "text"


def test_marks_and_opaque_folders(host):  # noqa: F811
    layout = Layout(host.root / "image")
    layout.image("a", [tar(("d", None), ("d/old", "1"), ("d/e", None), ("d/e/old", "1"), ("f", "1"), ("g", "1")),
                       tar(("d/e/new", "2"), ("d/.wh..wh..opq", ""), (".wh.f", ""), ("g", "2"), (".wh.g", ""))])
    host.newgate("template", "create", "t", "--from", f"oci:{layout.path}:a")
    root = host.path("/var/lib/newgate/templates/t/root")
    assert (root / "d/e/new").read_text() == "2" and (root / "g").read_text() == "2"
    assert sorted(os.listdir(root / "d")) == ["e"] and sorted(os.listdir(root / "d/e")) == ["new"]
    assert not (root / "f").exists()
    assert not [p for p in root.rglob(".wh.*")]


def test_what_an_image_for_several_machines_holds(host):  # noqa: F811
    layout = Layout(host.root / "image")
    layout.image("a", [tar(("mine", "1"))])
    mine = layout.index.pop()
    layout.image("b", [tar(("other", "1"))], architecture="mips")
    other = layout.index.pop()
    for entry, arch in ((mine, MACHINE), (other, "mips")):
        del entry["annotations"]
        entry["platform"] = {"os": "linux", "architecture": arch}
    both = layout.blob(json.dumps({"manifests": [other, mine]}).encode(), "index.v1+json")
    both["annotations"] = {"org.opencontainers.image.ref.name": "multi"}
    (layout.path / "index.json").write_text(json.dumps({"manifests": [both]}))
    host.newgate("template", "create", "t", "--from", f"oci:{layout.path}:multi")
    assert host.path("/var/lib/newgate/templates/t/root/mine").exists()


HOSTILE = {
    "absolute": ([("/evil", "x")], "leads out of the tree"),
    "parent": ([("../evil", "x")], "leads out of the tree"),
    "through a link": ([link("out", "../.."), ("out/evil", "x")], "leads out of the tree"),
    "through an absolute link": ([link("out", "/"), ("out/evil", "x")], "leads out of the tree"),
    "hard link": ([link("stolen", "../../../../secret", tarfile.LNKTYPE)], "leads out of the tree"),
    "hard link through a link": ([link("out", "../../../.."), link("stolen", "out/secret", tarfile.LNKTYPE)],
                                 "leads out of the tree"),
    "mark": ([link("out", "../../../.."), ("out/.wh.secret", "")], "leads out of the tree"),
    "mark of the folder above": ([("d", None), ("d/.wh...", "")], "leads out of the tree"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_layers_that_would_leave(host, name):  # noqa: F811
    entries, text = HOSTILE[name]
    secret = host.path("/var/lib/newgate/secret")
    secret.parent.mkdir(parents=True)
    secret.write_text("the host's")
    layout = Layout(host.root / "image")
    layout.image("a", [tar(("ok", "x")), tar(*entries)])
    assert text in host.newgate("template", "create", "t", "--from", f"oci:{layout.path}", fails=True)
    assert secret.read_text() == "the host's" and secret.stat().st_nlink == 1
    assert host.half_made() == [] and not list(host.root.rglob("evil"))


def test_what_was_altered_is_refused(host):  # noqa: F811
    layout = Layout(host.root / "image")
    archive = tar(("x", "text"))
    manifest = layout.image("a", [archive])

    def create(fails=True):
        return host.newgate("template", "create", "t", "--from", f"oci:{layout.path}", fails=fails)

    for descriptor in (layout.index[0], manifest["config"], manifest["layers"][0]):
        path = layout.file(descriptor)
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert descriptor["digest"].partition(":")[2][:12] in create()
        path.write_bytes(good + b"\n")
        assert f"has {len(good) + 1} bytes, not the {len(good)} it is said to have" in create()
        path.unlink()
        assert "No such file" in create()
        os.symlink("/etc/passwd", path)
        assert "bytes" in create()
        path.unlink()
        path.write_bytes(good)
        assert host.half_made() == []
    # A layer that is what the manifest says, but not what the config says.
    other = layout.blob(gzip.compress(tar(("x", "other"))), "layer.v1.tar+gzip")
    manifest["layers"] = [other]
    layout.index = [layout.blob(json.dumps(manifest).encode(), "manifest.v1+json")]
    (layout.path / "index.json").write_text(json.dumps({"manifests": layout.index}))
    assert "decompressed, its SHA-256 is" in create()
    assert host.half_made() == []


@pytest.mark.parametrize("file,text,said", [
    ("index.json", "{", "the index is not JSON at byte 1"),
    ("index.json", '{"manifests": []}', "names no image"),
    ("index.json", '{"manifests": [{"digest": "sha256:../../../etc/passwd", "size": 1}]}', "is not sha256"),
    ("oci-layout", '{"imageLayoutVersion": "2.0"}', "not of version 1"),
    ("oci-layout", None, "no OCI image layout"),
])
def test_layouts_that_are_none(host, file, text, said):  # noqa: F811
    layout = Layout(host.root / "image")
    layout.image("a", [tar(("x", "text"))])
    (layout.path / file).unlink()
    if text is not None:
        (layout.path / file).write_text(text)
    assert said in host.newgate("template", "create", "t", "--from", f"oci:{layout.path}", fails=True)
    assert "no image tagged b, but a" in host.newgate(
        "template", "create", "t", "--from", f"oci:{layout.path}:b", fails=True) or file
    assert host.half_made() == []


def test_a_config_becomes_a_block(host):  # noqa: F811
    layout = Layout(host.root / "image")
    layout.image("a", [tar(("x", "text"))], config={
        "Entrypoint": ["/bin/web"], "Cmd": ["-g", "daemon off;"], "Env": ["A=$b \"c\"", "PATH=/bin"],
        "User": "33:34", "WorkingDir": "/srv"})
    host.newgate("template", "create", "_base", "--from", f"oci:{layout.path}:a")
    host.newgate("create", "web", "exec.dir=/")
    assert host.conf() == """# newgate begin web
web {
	exec.dir = /;
	service = "exec /bin/web -g 'daemon off;'";
	exec.env = "A=\\$b \\"c\\"";
	exec.env += "PATH=/bin";
	exec.jail_user = 33:34;
	host.hostname = web;
	ip4.addr = auto;
	exec.clean;
	mount.devfs;
	persist;
}
# newgate end web
"""
    # A template that was made of it has them too.
    host.newgate("template", "create", "again", "--from", "_base")
    host.newgate("clone", "again", "mail")
    assert host.conf().count("exec.env = ") == 2


def test_a_clone_runs_what_the_image_says(vps):
    if not shutil.which("umoci"):
        pytest.skip("umoci is not installed")

    class Here:
        root = vps.path("/var/tmp")

    Here.root.mkdir(parents=True, exist_ok=True)
    layout = real_image(Here)
    vps.run("newgate", "template", "create", "app", "--from", f"oci:{layout}:three")
    vps.run("newgate", "clone", "app", "web")
    vps.run("jail", "-c", "web")
    # A pipe: who reads it waits for what the service has to say.
    assert vps.jail("web").run("cat", "/srv/said").stdout == "hello there web /srv\n"
