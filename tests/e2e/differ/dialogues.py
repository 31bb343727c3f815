"""Random SMTP dialogues: mostly sensible sessions with something odd in them."""

import dataclasses

LOCALS = ["user", "USER", "other", "a.b", "plus+tag", "user+x", "user-x", "nobody", "bounce",
          "list", "postmaster", "Postmaster", "root", "moved", "loop", "err", '"user"', '"a b"',
          '"a@b"', '"a\\"b"', '"a\\ b"', "us..er", ".user", "user.", "user%elsewhere.test",
          "user%example.test", "elsewhere.test!user", "user@second.test", "-user", "us er", "|id",
          "/etc/passwd", ";sleep 66;", "${run{id}}", "x" * 64, "x" * 65, "x" * 300, "", "us(c)er",
          "us\\er", "user,other", "u:ser", "üser", "u\tser", "forward"]
DOMAINS = ["example.test", "EXAMPLE.test", "second.test", "sub.example.test", "x.dotted.test",
           "dotted.test", "deep.sub.example.test", "elsewhere.test", "virtual.test", "local.test",
           "all.virtual.test", "mx.example.test", "localhost.example.test", "localhost", "example",
           "far.test", "err.test", "retry.test", "drop.test", "sender.test", "[127.0.0.1]",
           "[1.2.3]", "[::1]", "[IPv6:::1]", "127.0.0.1", "exa_mple.test", "-bad.test",
           "bad-.test", "a..test", ".example.test", "example.test.", "d" * 64 + ".test",
           ".".join(["d" * 50] * 6), "", "ü.test", "user@example.test", "exam ple.test",
           "[127.0.0.1", "#1", "[]"]
SENDERS = ["", "good@client.test", "user@example.test", "nobody@example.test", "bad@sender.test",
           "late@sender.test", "text@sender.test", "code@sender.test", "x@sender.test",
           "user@any.test", "x@hold.test", "x@warn.test", "x@dip.test", "x@dir.test",
           "x@a.sub.test", "x@info.test", "x@num.test", "x@none.test", "plain", "x@example",
           "x+tag@sender.test"]
HELOS = ["client.test", "good.client.test", "bad.helo", "x.bad.helo", "localhost", "[127.0.0.1]",
         "127.0.0.1", "under_score.test", "-x.test", "a..b", "[IPv6:::1]", "", "two words",
         "x" * 300, "mx.example.test", "client.test.", "[999.1.1.1]", "1234", "@", "(c)",
         "client.test x y"]
MAIL_PARAMETERS = ["SIZE=100", "SIZE=0", "SIZE=2999", "SIZE=3001", "SIZE=99999999999", "SIZE=-1",
                   "SIZE=", "SIZE=1x", "SIZE=18446744073709551616", "SIZE", "BODY=8BITMIME",
                   "BODY=7BIT", "body=8bitmime", "BODY=X", "BODY=", "BODY", "AUTH=<>", "AUTH=x",
                   "SMTPUTF8", "SMTPUTF8=1", "RET=FULL", "RET=HDRS", "RET=X", "ENVID=abc",
                   "ENVID=a+20b", "ENVID=x+00", "ENVID=", "ENVID=a+2", "=", "A=", "UNKNOWN=1",
                   '"=', "REQUIRETLS", "MT-PRIORITY=3", "X" * 500, "SIZE=1 SIZE=2",
                   "RET=FULL RET=FULL"]
RCPT_PARAMETERS = ["NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE", "NOTIFY=NEVER,DELAY", "NOTIFY=X",
                   "NOTIFY=", "ORCPT=rfc822;user@example.test", "ORCPT=rfc822;a+0D+0Ab",
                   "ORCPT=user", "ORCPT=", "ORCPT=rfc822;" + "x" * 600, "SIZE=1", "X=1",
                   "BODY=7BIT"]
PLAIN = ["RSET", "NOOP", "NOOP x", "HELP", "VRFY user@example.test", "VRFY",
         "VRFY nobody@example.test", "VRFY user", "VRFY <user@example.test>", "VRFY a@b c",
         "VRFY x@elsewhere.test", "EXPN list", "ETRN example.test", "ETRN", "ETRN @x", "ETRN #x",
         "ETRN elsewhere.test", "ETRN [1.2.3.4]", "FROB", "FROB a b", "", " ", "  NOOP", "noop",
         "NoOp", "AUTH", "AUTH PLAIN AAAA", "STARTTLS", "RSET x", "DATA x", "MAIL", "MAIL FROM",
         "MAIL FROM:", "MAIL TO:<x@y>", "RCPT", "RCPT TO:", "RCPT FROM:<x@y>", "QUIT x", "TURN",
         "GET / HTTP/1.0", "XCLIENT ADDR=10.0.0.1", "XCLIENT NAME=x", "XFORWARD NAME=x", "XCLIENT",
         "XCLIENT ADDR=x+0Ay", "SEND FROM:<x@y>", "EHLO", "HELO", "EHLO again.test",
         "HELO again.test", "MAIL FROM:<a@b> BODY=7BIT SIZE=1", "Subject: x", "x" * 600,
         "x" * 3000, "\x80\x81", "RSET\0", "VRFY \xfc@example.test", "DATA", "BDAT", "BDAT x",
         "BDAT -1", "BDAT 0x10", "BDAT 1 x", "BDAT 0 LAST x", "BDAT 99999999999999"]

NEEDS = {"BDAT": "CHUNKING", "ETRN": "ETRN", "XCLIENT": "XCLIENT", "XFORWARD": "XCLIENT",
         "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN", "ORCPT": "DSN"}


@dataclasses.dataclass
class Step:
    """Bytes, how many replies they have (None: all is sent; read to the end), and the body that
    follows a 354."""
    data: bytes
    replies: int | None = 1
    body: bytes | None = None

    @property
    def may_be_silent(self):
        """A chunk is announced that never comes."""
        return b"BDAT 9999" in self.data


def line(text):
    return text.encode("utf-8" if "ü" in text else "latin-1") + b"\r\n"


class Writer:
    """Writes one dialogue with its own random numbers; `tag` is found in what it delivers."""

    def __init__(self, random, tag, offered):
        self.random, self.tag, self.offered = random, tag, offered
        self.plain = [text for text in PLAIN if self.makes_sense(text)]
        self.of_mail = [text for text in MAIL_PARAMETERS if self.makes_sense(text)]
        self.of_rcpt = [text for text in RCPT_PARAMETERS if self.makes_sense(text)]
        self.odd = random.choice([0.03, 0.1, 0.3])

    def makes_sense(self, text):
        """False for what belongs to an extension that ringmx does not have."""
        return all(keyword in self.offered or not text.startswith(start)
                   for start, keyword in NEEDS.items())

    def oddly(self):
        return self.random.random() < self.odd

    def address(self, usual):
        """Mostly an address of `usual`, else any mixture."""
        pick = self.random
        if pick.random() > self.odd * 2:
            return pick.choice(usual)
        local, domain = pick.choice(LOCALS), pick.choice(DOMAINS)
        route = pick.choice(["", "", "", "", "@relay.test:", "@a.test,@b.test:", "@:"])
        return f"{route}{local}@{domain}" if pick.random() < 0.85 else f"{route}{local}"

    def path(self, address):
        forms = ["<{}>"] if not self.oddly() else [
            "{}", "<{}", "{}>", " <{}>", "<{}> ", "<<{}>>", "<{}>x", "Name <{}>", "< {} >", "<{}>,",
            "(c)<{}>", "<{}> (c)", '"N" <{}>', "<{}>\t"]
        return self.random.choice(forms).format(address)

    def parameters(self, known, often):
        if self.random.random() > often:
            return ""
        return "".join(" " + p for p in self.random.choices(known, k=self.random.randint(1, 2)))

    def mail(self):
        verb = self.random.choice(["mail from:", "Mail From:", "MAIL FROM :", "MAIL  FROM:"]) \
            if self.oddly() else "MAIL FROM:"
        path = self.path(self.address(SENDERS))
        return Step(line(verb + path + self.parameters(self.of_mail, self.odd + 0.1)))

    def rcpt(self):
        usual = ["user@example.test", "other@example.test", "a.b@example.test", "x@second.test",
                 "nobody@example.test", "x@elsewhere.test", "user@sub.example.test", "postmaster",
                 "user+tag@example.test", "forward@virtual.test", "list@mx.example.test",
                 "user@example.test", "user@example.test", "plus+tag@example.test"]
        verb = "rcpt to:" if self.oddly() else "RCPT TO:"
        path = self.path(self.address(usual))
        return Step(line(verb + path + self.parameters(self.of_rcpt, self.odd)))

    def hello(self):
        name = self.random.choice(HELOS) if self.oddly() or self.oddly() else "client.test"
        return Step(line(f"{self.random.choice(['EHLO', 'EHLO', 'EHLO', 'HELO', 'ehlo'])} {name}"))

    def content(self):
        pick = self.random
        header = [f"X-Tag: {self.tag}", "From: a@client.test", "To: b@example.test", "Subject: x"]
        for extra in ("Received: from x by y; z", "Bcc: hidden@x.test", "Return-Path: <x@y>",
                      "X-Long: " + "y " * pick.choice([10, 600]), "X-Fold: a\r\n\tb\r\n c",
                      "Content-Length: 5", "X-8bit: \xe4\xf6", "No colon here", "From x y",
                      ": empty", "Delivered-To: user@example.test", "To: undisclosed:;",
                      "X-Empty:"):
            if pick.random() < self.odd:
                header.insert(pick.randint(1, len(header)), extra)
        if self.oddly():
            header += ["Received: from x by y; z"] * pick.choice([2, 3, 4, 60])
        body = pick.choices(["text", ".", "..", ".x", "", "x" * 990, "x" * 3000, "tab\t end ",
                             "8bit \xff\x80", "nul\0nul", "cr\rcr", "From x", "y" * 200],
                            k=pick.randint(0, 6))
        lines = [*header, "", f"tag {self.tag}", *body]
        stuffed = [f".{x}" if x.startswith(".") else x for x in lines]
        end = pick.choice(["\n", "\r", "\r\r\n"]) if self.odd > 0.2 and self.oddly() else "\r\n"
        return ("\r\n".join(stuffed) + end + "\r\n.\r\n").encode("latin-1")

    def transaction(self):
        steps = [self.mail(), *(self.rcpt() for _ in range(self.random.choice([1, 1, 1, 2, 3, 5])))]
        if "CHUNKING" in self.offered and self.random.random() < 0.25:
            return steps + self.chunks()
        return [*steps, Step(line("data" if self.oddly() else "DATA"), 1, self.content())]

    def chunks(self):
        data = self.content().removesuffix(b"\r\n.\r\n") + b"\r\n"
        middle = self.random.randint(0, len(data))
        return [Step(b"BDAT %d\r\n" % middle + data[:middle]),
                Step(b"BDAT %d LAST\r\n" % (len(data) - middle) + data[middle:])]

    def dialogue(self):
        """The steps; one in six is pipelined as a whole, and a few are shuffled."""
        steps = [] if self.oddly() else [self.hello()]
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            steps += self.transaction()
        for _ in range(sum(self.random.random() < self.odd for _ in range(12))):
            odd = Step(line(self.random.choice(self.plain)))
            if odd.data == b"DATA\r\n":
                odd.body = self.content()
            steps.insert(self.random.randint(0, len(steps)), odd)
        if self.oddly():
            self.random.shuffle(steps)
        elif self.random.random() < 0.15:
            return [grouped(steps)]
        elif self.random.random() < 0.15:
            steps = pairs(steps)
        return [*steps, Step(b"QUIT\r\n")]


def grouped(steps):
    """All in one segment, without waiting for anything; and then the end of the connection."""
    bodies = b"".join(step.data + (step.body or b"") for step in steps)
    return Step(bodies + b"QUIT\r\n", None)


def pairs(steps):
    """A legal client that pipelines: the commands before each DATA go together."""
    out = []
    for step in steps:
        group = step.data[:4].upper() in (b"MAIL", b"RCPT", b"RSET", b"DATA")
        if group and out and out[-1].body is None and out[-1].data[:4].upper() != b"EHLO" \
                and out[-1].data[:4].upper() in (b"MAIL", b"RCPT", b"RSET"):
            out[-1] = Step(out[-1].data + step.data, out[-1].replies + 1, step.body)
        else:
            out.append(step)
    return out
