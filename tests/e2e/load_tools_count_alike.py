#!/usr/bin/env python3
"""mxload and mxsink agree with Postfix's smtp-source and smtp-sink, and with each other, on every
count."""

from rig import Rig, need_program, wait_for


def source_to_mxsink(rig):
    sink = rig.mxsink()
    rig.run(need_program("smtp-source"), "-s", "5", "-m", "300", "-l", "4096", "-r", "2", "-d",
            "-f", "a@example.test", "-t", "b@example.test", f"127.0.0.1:{sink.port}", check=True)
    messages = sink.wait_for_messages(300)
    assert len(messages) == 300
    assert all(m["from"] == "a@example.test" and len(m["to"]) == 2 for m in messages)
    assert sink.terminate() == 0
    sink.ledger.unlink()


def mxload_to_smtp_sink(rig, *arguments):
    sink, port = rig.smtp_sink("-c")
    result = rig.mxload("-s", "5", "-m", "300", "-l", "4096", *arguments, port=port)
    assert (result["sent"], result["accepted"], result["errors"]) == (300, 300, 0), result
    assert result["commit_us"]["count"] == 300
    # smtp-sink -c: "sess=N quit=N mesg=N", rewritten in place.
    wait_for(lambda: "mesg=300" in sink.text(), "300 messages counted by smtp-sink")
    sink.terminate()


def mxload_to_mxsink(rig):
    sink = rig.mxsink("--fail", "mail:450:20", "--fail", "rcpt:550:20", "--fail", "data:451:20",
                      "--fail", "dot:452:20")
    for pipelined in ([], ["-p"]):
        result = rig.mxload("-s", "5", "-m", "1000", "-d", "-r", "2", *pipelined,
                            "--ledger", rig.dir / "ledger", port=sink.port)
        assert result["accepted"] + result["refused"] == 1000 and result["errors"] == 0, result
        assert result["refused"] > 200, result
    accepted = (rig.dir / "ledger").read_text().split()
    assert sorted(accepted) == sorted(m["id"] for m in sink.messages())
    assert len(set(accepted)) == len(accepted)


def mxload_keeps_a_rate(rig):
    sink = rig.mxsink()
    for keep in ([], ["-d"]):
        result = rig.mxload("-s", "20", "-m", "300", "--rate", "400", *keep, port=sink.port)
        assert result["accepted"] == 300 and result["late_us"]["count"] == 300, result
        assert 0.5 < result["seconds"] < 5, result  # 0.75 s by the mean, 0.04 s its spread


with Rig() as the_rig:
    source_to_mxsink(the_rig)
    mxload_to_smtp_sink(the_rig, "-d")
    mxload_to_smtp_sink(the_rig, "-d", "-p")
    mxload_to_smtp_sink(the_rig)
    mxload_to_mxsink(the_rig)
    mxload_keeps_a_rate(the_rig)
