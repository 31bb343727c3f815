#!/usr/bin/env python3
"""A name server that lies (V70): each kind of broken answer is no answer. Mail waits, nothing is
bounced, and ringmx goes on; when the server comes to its senses the mail is delivered."""

from dns import A, CNAME, MX, HostileServer, name, record
from rig import DOMAIN, Rig, free_port, wait_for

GOOD = record("a.test", A, b"\x7f\0\0\2", 5)


def mx(owner, host, preference=10):
    return record(owner, MX, preference.to_bytes(2) + name(host), 5)


def chain(q):
    links = [record(q.name if i == 0 else f"n{i}.test", CNAME, name(f"n{i + 1}.test"))
             for i in range(100)]
    return q.answer(*links, mx("n100.test", "a.test"))


LIES = {
    # lengths of the data: too short, too long, beyond the message
    **{f"rdlength{n}": lambda q, n=n: q.answer(record(q.name, MX, (b"\0\1\3ab\0")[:n]))
       for n in range(4)},
    "beyond": lambda q: q.answer(record(q.name, MX, b"\0\1\1a\0", length=900)),
    # names: pointers forward, to themselves, in a circle; a label of 64; more than 255
    "forward": lambda q: q.answer(record(q.name, MX, b"\0\1\xc3\xff")),
    "self": lambda q: q.answer(record(b"\xc0" + bytes([12 + len(q.question)]), MX, b"\0\1\1a\0")),
    "circle": lambda q: q.answer(record(q.name, MX, b"\0\1\1a\xc0" + bytes(
        [12 + len(q.question) + len(q.name) + 2 + 10 + 2]))),
    "label": lambda q: q.answer(record(q.name, MX, b"\0\1\x40" + b"a" * 64 + b"\0")),
    "long": lambda q: q.answer(mx(q.name, ".".join(["a" * 60] * 5))),
    "nohost": lambda q: q.answer(mx(q.name, "a b\n;$(x)")),
    # counts that lie, nothing at all, something cut off
    "counts": lambda q: q.answer(mx(q.name, "a.test"), count=9),
    "empty": lambda q: b"",
    "half": lambda q: q.answer(mx(q.name, "a.test"))[:-7],
    "junk": lambda q: bytes(range(256)),
    # somebody else's answer
    "wrongid": lambda q: q.answer(mx(q.name, "a.test"), identity=b"\0\0"),
    "wrongname": lambda q: q.answer(mx("x.test", "a.test"),
                                    question=name("x.test") + q.question[-4:]),
    "query": lambda q: q.data,
    # what can't be followed
    "chain": chain,
    "servfail": lambda q: q.answer(rcode=2),
    "refused": lambda q: q.answer(rcode=5),
    "truncated": lambda q: q.answer(flags=0x8380),  # and then silence on TCP
    "silent": lambda q: None,
}
honest = []


def answers(q, tcp):
    if q.name == "a.test":
        return q.answer(GOOD) if q.kind == A else q.answer()
    lie = LIES.get(q.name.split(".")[0])
    if honest or lie is None:
        return q.answer(mx(q.name, "a.test")) if q.kind == MX else q.answer()
    if tcp:
        return None
    return lie(q) if q.kind == MX else q.answer(rcode=2)


with Rig() as rig:
    server = HostileServer(answers)
    port = free_port()
    sink = rig.mxsink(port=port, address="127.0.0.2")
    people = {lie: f"{lie}@{DOMAIN}" for lie in LIES}
    (rig.dir / "transport").write_text("".join(
        f"{who} smtp:{lie}.lie.test:{port}\n" for lie, who in people.items()))
    rig.configure(recipients=people.values(), relayhost=f"[127.0.0.2]:{port}",
                  inet_protocols="ipv4", transport_maps=f"hash:{rig.dir}/transport",
                  minimal_backoff_time="1s", maximal_backoff_time="2s",
                  ringmx_segment_size=4 << 20, ringmx_dns_servers=f"127.0.0.1:{server.port}")
    mx_process = rig.ringmx()
    with mx_process.smtp() as client:
        for who in people.values():
            client.sendmail(f"sender@{DOMAIN}", [who], b"Subject: x\r\n\r\nbody\r\n")
    # Each was asked for, and given up.
    wait_for(lambda: len(mx_process.lines("warning: next hop .*try again")) == len(LIES),
             "failures", 60)
    assert all(server.count(f"{lie}.") >= 1 for lie in LIES)
    assert mx_process.running() and sink.count() == 0
    assert not mx_process.lines("status=bounced|panic|AddressSanitizer|runtime error")
    honest.append(True)
    sink.wait_for_messages(len(LIES), 120)
    assert {to for m in sink.messages() for to in m["to"]} == set(people.values())
    assert mx_process.terminate() == 0
