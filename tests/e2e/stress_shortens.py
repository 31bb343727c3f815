#!/usr/bin/env python3
"""${stress?...}: sessions that begin when nine of ten slots are in use get less time and fewer
errors; those that were there before keep what they have."""

from rig import Rig, wait_for

with Rig() as rig:
    rig.configure(relayhost="[127.0.0.1]:9", ringmx_max_sessions=10, ringmx_shards=1,
                  smtpd_timeout="${stress?{1}:{300}}s", smtpd_error_sleep_time="0s")
    mx = rig.ringmx()
    wait_for(lambda: mx.lines("disconnect from"), "the rig's own connection gone")
    calm = [mx.connect() for _ in range(8)]
    stressed = mx.connect()
    wait_for(lambda: mx.lines("warning: stress: 9 of 10 sessions are in use"), "stress")
    # smtpd_hard_error_limit is 1 under stress: its default says so.
    stressed.say("FOO", "500 5.5.2")
    assert stressed.reply().startswith("421 4.7.0 "), "too many errors"
    late = mx.connect()
    assert late.reply().startswith("421 4.4.2 "), "timeout"
    for one in calm:
        one.say("FOO", "500 5.5.2")
        one.say("NOOP", "250")
    for one in calm[:4]:
        one.say("QUIT", "221")
    wait_for(lambda: len(mx.lines("disconnect from")) >= 7, "sessions gone")
    with mx.connect() as after:
        after.say("FOO", "500 5.5.2")
        after.say("NOOP", "250")
    wait_for(lambda: mx.lines("stress is over"), "no stress")
