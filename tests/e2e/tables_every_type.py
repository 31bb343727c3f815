#!/usr/bin/env python3
"""Every type of table in main.cf answers as Postfix's would, a look-up that fails is a 451, and a
source-read table (cidr, regexp) is in service soon after its file has changed."""

from rig import BIN, DOMAIN, RECIPIENT, Rig, need_program, wait_for

with Rig() as rig:
    sink = rig.mxsink()
    (rig.dir / "more").write_text("more.test OK\n")
    (rig.dir / "nets").write_text("# ours\n198.51.100.0/24 OK\n127.0.0.0/8 OK\nnot a rule\n")
    (rig.dir / "patterns").write_text(f"/^team-[0-9]+@{DOMAIN}$/ OK\n")
    (rig.dir / "pcre").write_text(f"/^(?:a|b){{3}}@{DOMAIN}$/ OK\n")
    for name in ("nets", "patterns", "pcre", "more"):
        (rig.dir / name).chmod(0o644)
    recipients = f"proxy:hash:{rig.dir}/recipients"
    tables = {
        "relay_domains": f"hash:{rig.dir}/domains, proxy:hash:{rig.dir}/more, "
                         "inline:{{inline.test = OK}, {.parent.test = OK}}, "
                         "unionmap:{inline:{union.test=1},static:x} broken.test",
        "relay_recipient_maps": f"{recipients}, regexp:{rig.dir}/patterns, pcre:{rig.dir}/pcre, "
                                "inline:{in@inline.test=x, @parent.test=x}, "
                                "unix:passwd.byname, "
                                "regexp:{{/^rule@/ OK}}",
        "mynetworks": f"cidr:{rig.dir}/nets",
        "smtpd_client_restrictions": "",
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "proxy_read_maps": f"$mynetworks proxy:hash:{rig.dir}/more $relay_recipient_maps",
        "smtpd_error_sleep_time": "0",
        "smtpd_soft_error_limit": "1000",
        "smtpd_hard_error_limit": "1000",
        "smtpd_junk_command_limit": "1000",
    }
    # static: has every domain, so the union above makes every domain ours.
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", **tables)
    mx = rig.ringmx()
    mx.said(f"{rig.dir}/nets, line 4: ")

    def ask(recipient):
        with mx.connect() as client:
            client.say("EHLO client.example", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            return client.say(f"RCPT TO:<{recipient}>")

    def expect(recipient, wanted):
        assert (reply := ask(recipient)).startswith(wanted), (recipient, reply)

    expect(RECIPIENT, "250")
    expect(f"team-7@{DOMAIN}", "250")
    expect(f"TEAM-7@{DOMAIN}", "250")
    expect(f"team-x@{DOMAIN}", "550 5.1.1")
    expect(f"aba@{DOMAIN}", "250")
    expect(f"abc@{DOMAIN}", "550 5.1.1")
    expect("in@inline.test", "250")
    expect("out@inline.test", "550 5.1.1")
    expect("any@parent.test", "250")
    expect("rule@anywhere.test", "250")
    expect("root@more.test", "550 5.1.1")
    (rig.dir / "patterns").write_text(f"/^team-[a-z]+@{DOMAIN}$/ OK\n")
    wait_for(lambda: ask(f"team-x@{DOMAIN}").startswith("250"), "the new patterns")
    # The other shard may take them a moment later.
    wait_for(lambda: ask(f"team-7@{DOMAIN}").startswith("550 5.1.1"), "them in every shard")
    status = rig.run(BIN / "mxq", "-c", rig.dir, "--status", check=True).stdout
    assert f"table regexp:{rig.dir}/patterns: 1 keys" in status, status
    assert mx.terminate() == 0

    # Networks decide who may relay; what is not listed is no domain of ours.
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", **tables | {
        "relay_domains": f"hash:{rig.dir}/domains",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"})
    mx = rig.ringmx()
    expect("anybody@foreign.test", "250")
    (rig.dir / "nets").write_text("!0.0.0.0/0 none\n198.51.100.0/24 OK\n")
    wait_for(lambda: ask("anybody@foreign.test").startswith("554 5.7.1"), "the new networks")
    expect(RECIPIENT, "250")
    (rig.dir / "nets").unlink()
    wait_for(lambda: mx.lines("alarm tables raised.*nets"), "the alarm")
    expect(RECIPIENT, "250")
    (rig.dir / "nets").write_text("127.0.0.1 OK\n")
    wait_for(lambda: mx.lines("alarm tables cleared"), "the alarm cleared")
    wait_for(lambda: ask("anybody@foreign.test").startswith("250"), "the networks again")
    assert mx.terminate() == 0

    # A look-up that fails.
    for parameter in ("relay_domains", "relay_recipient_maps"):
        rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", **{parameter: "fail:on-purpose"})
        mx = rig.ringmx()
        expect(RECIPIENT, f"451 4.3.0 <{RECIPIENT}>: Temporary lookup failure")
        assert mx.terminate() == 0

    # The same questions to Postfix's own tables.
    postmap = need_program("postmap")
    (rig.dir / "postfix").mkdir()
    (rig.dir / "postfix" / "main.cf").write_text("compatibility_level = 3.6\n")
    for table, key, found in (("inline:{in@inline.test=x, @parent.test=x}", "@parent.test", "x"),
                              ("static:{some value}", "whatever", "some value"),
                              ("unionmap:{inline:{a=1},inline:{a=2}}", "a", "1,2"),
                              ("unix:passwd.byname", "root", None)):
        theirs = rig.run(postmap, "-c", rig.dir / "postfix", "-q", key, table)
        ours = rig.run(BIN / "mapc", "-q", key, table)
        assert (ours.returncode, ours.stdout) == (0, theirs.stdout), (ours, theirs)
        assert found is None or ours.stdout == found + "\n", ours
    assert rig.run(postmap, "-c", rig.dir / "postfix", "-q", "x", "fail:y").returncode != 0
    assert rig.run(BIN / "mapc", "-q", "x", "fail:y").returncode == 75
