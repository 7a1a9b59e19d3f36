"""What the web jail serves beside the web mail's pages, what it does not serve, and what it cannot do."""

import json

import pytest

from nginx import reloaded, restarted
from test_mail import HOST, OUTSIDE

# Nobody out there sees these: programs, passwords, what was sent, what only tells of versions.
HIDDEN = ("config/config.inc.php", "temp/", "logs/errors.log", "SQL/sqlite.initial.sql", "bin/update.sh",
          "installer/", "roundcube.db", ".htaccess", "program/lib/Roundcube/rcube.php", "plugins/",
          "program/js/common.js~", "plugins/managesieve/config.inc.php", "plugins/password/README",
          "plugins/managesieve/composer.json", "skins/elastic/meta.json", "index.php/x", "program/../config/",
          "plugins/%2e%2e/config/config.inc.php", "vendor/", "composer.json")
HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "sameorigin",
}


def curl(vps, url, *options, status=0):
    """What is served out there: the status, the headers (in small letters), the body."""
    got = vps.run("curl", "-sk", "--path-as-is", "--max-time", "15", "--resolve", f"*:443:{HOST}",
                  "--resolve", f"*:80:{HOST}", "-w", "\n%{stderr}%{http_code} %{header_json}", *options, url,
                  where="internet", status=status)
    code, _, headers = got.stderr.partition(" ")
    return int(code), {k: v[-1] for k, v in json.loads(headers).items()}, got.stdout[:-1]


def test_headers(mail):
    code, headers, body = curl(mail, "https://mail.example.org/")
    assert code == 200 and 'id="rcmloginuser"' in body
    assert {k: headers.get(k) for k in HEADERS} == HEADERS
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    for word in ("secure", "httponly", "samesite=lax"):
        assert word in headers["set-cookie"].lower()
    # Whoever looks for known holes is not told where to begin.
    assert headers["server"] == "nginx"
    assert "x-powered-by" not in headers
    code, headers, _ = curl(mail, "http://mail.example.org/x?y")
    assert (code, headers["location"]) == (301, "https://mail.example.org/x?y")


def test_assets_are_kept_and_small(mail):
    code, headers, _ = curl(mail, "https://mail.example.org/program/js/app.min.js", "-H",
                            "Accept-Encoding: gzip", "-o", "/dev/null")
    assert (code, headers["content-encoding"], headers["cache-control"]) == (200, "gzip", "max-age=604800")


@pytest.mark.parametrize("path", HIDDEN)
def test_what_is_not_served(mail, path):
    code, _, body = curl(mail, f"https://mail.example.org/{path}")
    assert code in (400, 404)
    assert "roundcube" not in body.lower()


def test_the_web_jail_reaches_what_it_needs(mail):
    """And nothing else: not Postfix's port for the world, not the mailboxes' door, not the internet."""
    web = mail.jail("web")
    addresses = {jail: mail.jail(jail).addresses()[0] for jail in ("postfix", "dovecot", "dkim")}
    for jail, port in (("postfix", 587), ("dovecot", 993), ("dovecot", 4190)):
        mail.connect(web, "tcp", addresses[jail], port).close()
    server = mail.listen("internet", "tcp", OUTSIDE, 25)
    for address, port in ((addresses["postfix"], 25), (addresses["postfix"], 465), (addresses["dovecot"], 24),
                          (addresses["dovecot"], 12345), (addresses["dkim"], 8891), (OUTSIDE, 25)):
        mail.refused(web, "tcp", address, port)
    server.close()


def test_a_site_of_files(mail):
    with reloaded(mail):
        mail.run("newgate", "host", "site", "add", "www.example.org")
    folder = "/var/lib/newgate/host/web/sites/www.example.org"
    mail.write(f"{folder}/index.html", "<h1>Bread</h1>")
    mail.write(f"{folder}/rye/index.html", "<h1>Rye</h1>")
    for path, text in (("", "Bread"), ("rye/", "Rye")):
        code, _, body = curl(mail, f"https://www.example.org/{path}")
        assert (code, body) == (200, f"<h1>{text}</h1>")
    assert curl(mail, "https://www.example.org/../../roundcube/roundcube.db")[0] in (400, 404)
    assert curl(mail, "http://www.example.org/")[0] == 301
    with reloaded(mail):
        mail.run("newgate", "host", "site", "remove", "www.example.org")
    # Its name leads to the web mail now, as any other does.
    assert "Bread" not in curl(mail, "https://www.example.org/")[2]


def test_a_site_in_another_jail(mail):
    mail.busybox("/var/jails/app")
    mail.write("/var/jails/app/www/cgi-bin/hello",
               "#!/bin/sh\necho; echo $HTTP_HOST $HTTP_X_FORWARDED_FOR $HTTP_X_FORWARDED_PROTO\n").chmod(0o755)
    mail.write("/etc/jail.conf.d/app.conf", """app {
        path = "/var/jails/app"; interface = lo100; ip4.addr = auto; allow.connect = "";
        service = "httpd -f -p 8080 -h /www";
        exec.start = true; exec.stop = true;
    }""")
    mail.run("newgate", "up", "app")
    with reloaded(mail):
        mail.run("newgate", "host", "site", "add", "--proxy", "app:8080", "app.example.org")
    before = mail.jail("web").pid
    mail.run("newgate", "up", "web")
    assert mail.jail("web").pid == before, "the way there is opened without a restart"
    assert curl(mail, "https://app.example.org/cgi-bin/hello", "--interface", OUTSIDE)[::2] == (
        200, f"app.example.org {OUTSIDE} https\n")

    # It ends: its site is out of order, and no other, even if all begins anew.
    mail.run("newgate", "down", "app")
    with restarted(mail):
        mail.run("jail", "-rc", "web")
    assert curl(mail, "https://app.example.org/")[0] == 502
    assert curl(mail, "https://mail.example.org/")[0] in (200, 503)
    with reloaded(mail):
        mail.run("newgate", "host", "site", "remove", "app.example.org")
    mail.run("newgate", "up", "web")
    mail.path("/etc/jail.conf.d/app.conf").unlink()
