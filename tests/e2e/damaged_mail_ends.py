#!/usr/bin/env python3
"""Mail whose records rot in the queue while it waits: with its content gone its sender is still
told when it is too old; with its envelope gone it is held for a person, as Postfix does with
corrupt queue files, and not tried for ever. After an
orderly end rot of what was written last is told as damage."""

from rig import BIN, DOMAIN, Rig, free_port, wait_for


def send(mx, number):
    with mx.smtp() as client:
        client.sendmail(f"sender{number}@outside.test", [f"user{number}@{DOMAIN}"],
                        f"Subject: x\r\n\r\nbody number {number}\r\n".encode())


def rot(rig, text):
    """One bit of the record that has these bytes."""
    found = 0
    for path in (rig.dir / "queue" / "segments").iterdir():
        at = path.read_bytes().find(text)
        if at >= 0:
            with path.open("r+b") as file:
                file.seek(at)
                file.write(bytes([text[0] ^ 1]))
            found += 1
    assert found == 1, (text, found)


def while_it_waits():
    with Rig() as rig:
        sink = rig.mxsink()
        (rig.dir / "transport").write_text(f"{DOMAIN} smtp:[127.0.0.1]:{free_port()}\n")
        rig.configure(recipients=[f"user{n}@{DOMAIN}" for n in (1, 2, 3)],
                      relayhost=f"[127.0.0.1]:{sink.port}", ringmx_segment_size=4 << 20,
                      transport_maps=f"hash:{rig.dir}/transport", maximal_queue_lifetime="5s",
                      bounce_queue_lifetime="5s", minimal_backoff_time="1s")
        mx = rig.ringmx()
        for number in (1, 2, 3):
            send(mx, number)
        rot(rig, b"body number 2")
        rot(rig, b"sender3@outside.test")

        # 1 is whole, 2 has lost its content, 3 its envelope.
        notices = {m["to"][0]: m for m in sink.wait_for_messages(2)}
        assert set(notices) == {"sender1@outside.test", "sender2@outside.test"}, notices
        wait_for(lambda: mx.lines("placed on hold"), "the third is held")
        listed = rig.run(BIN / "mxq", "-c", rig.dir, "-p", check=True).stdout
        assert "damaged: its envelope can't be read back" in listed, listed
        # What waited for a next hop that is down was not tried, and is told of all the same.
        mx.said("to=<user[12]@.*relay=none, .*dsn=4.4.7, status=deferred .*refused", 2)
        counters = mx.counters()
        assert counters["recipients_bounced"] == 2 and counters["recipients_held"] == 1, counters
        mx.said("alarm queue-damaged raised: message .*: it can't be read back", 2)
        message = next(line.split()[0].rstrip("!") for line in listed.splitlines() if "!" in line)
        rig.run(BIN / "mxq", "-c", rig.dir, "-d", message, check=True)
        assert mx.counters()["recipients_queued"] == 0
        mx.terminate()


def after_an_orderly_end():
    """Nothing is torn then: what was written last is missed like all else."""
    with Rig() as rig:
        rig.configure(recipients=[f"user1@{DOMAIN}"], relayhost=f"[127.0.0.1]:{free_port()}",
                      ringmx_segment_size=4 << 20)
        mx = rig.ringmx()
        send(mx, 1)
        assert mx.terminate() == 0
        assert rig.run(BIN / "mxq", "-c", rig.dir, "--fsck").returncode == 0
        rot(rig, b"body number 1")
        done = rig.run(BIN / "mxq", "-c", rig.dir, "--fsck")
        assert done.returncode == 65 and "1 are lost" in done.stdout, done
        mx = rig.ringmx()
        mx.said("alarm queue-damaged raised: 2 damaged places, 1 messages lost")
        mx.terminate()


while_it_waits()
after_an_orderly_end()
