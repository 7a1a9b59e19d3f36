"""A mail host passes fifteen checks, with real software on both ends. These are here:

 4 outgoing mail is signed"""

import re

from test_mail import fetch, letter, smtp


def test_outgoing_mail_is_signed(mail, world):
    """4: outgoing mail carries a DKIM signature that an independent verifier accepts."""
    with smtp(mail, 587, "alice") as s:
        s.sendmail("alice@example.org", ["x@remote.example"],
                   letter("far away", "alice@example.org", "x@remote.example"))
    raw = world.letter("far away")
    assert world.verified(raw)
    assert not world.verified(raw.replace(b"hello", b"hullo"))


def test_a_letter_from_the_other_host(mail, world):
    """It asks the name server where to, and encrypts."""
    world.send("x@remote.example", "alice@example.org",
               letter("from afar", "x@remote.example", "alice@example.org"))
    raw = fetch(mail, "alice", "from afar")
    # Postfix takes either of the two families.
    assert re.search(rb"from mx.remote.example \((mx.remote.example \[198.51.100.25|"
                     rb"mx6.remote.example \[IPv6:2001:db8:51::25)\]\)", raw)
    assert b"with ESMTPS" in raw
