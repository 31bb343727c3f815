#!/usr/bin/env python3
"""Postfix's smtp-source through ringmx into Postfix's smtp-sink: everything sent arrives, once."""

from rig import DOMAIN, RECIPIENT, Rig, need_program, wait_for


def relay_all(rig, *arguments):
    sink, port = rig.smtp_sink("-c")
    rig.configure(relayhost=f"[127.0.0.1]:{port}")
    mx = rig.ringmx()
    rig.run(need_program("smtp-source"), "-s", "20", "-m", "2000", "-l", "4096", *arguments,
            "-f", f"sender@{DOMAIN}", "-t", RECIPIENT, f"127.0.0.1:{mx.port}", check=True)
    wait_for(lambda: "mesg=2000" in sink.text(), "2000 messages at smtp-sink", 60)
    assert mx.terminate() == 0, mx.text()
    assert "mesg=2001" not in sink.text()
    sink.terminate()


with Rig() as the_rig:
    relay_all(the_rig, "-d")
    relay_all(the_rig)
