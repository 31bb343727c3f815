"""What counts as a difference, and the differences that are meant (proto/README.md has them with
their reasons; here each is a rule that recognises it and nothing else)."""

import re

from differ.client import CLOSED

IGNORED_HEADERS = (b"received:", b"message-id:", b"date:", b"delivered-to:", b"x-original-to:")


class Known:
    """A difference that is meant: `when(sent, postfix, ringmx, settings)`."""

    def __init__(self, name, when):
        self.name, self.when = name, when


KNOWN = []


def first_difference(told, settings):
    """(index, sent, Postfix's reply, ringmx's reply, name of the known rule or None), or None."""
    ours, theirs = told["ringmx"], told["postfix"]
    for index in range(max(len(ours), len(theirs))):
        left = theirs[index] if index < len(theirs) else ("", "(nothing)")
        right = ours[index] if index < len(ours) else ("", "(nothing)")
        if left == right:
            continue
        sent = left[0] or right[0]
        known = next((k.name for k in KNOWN if k.when(sent, left[1], right[1], settings)), None)
        return index, sent, left[1], right[1], known
    return None


def headers_of(lines):
    fields = []
    for line in lines:
        if line[:1] in b" \t" and line and fields:
            fields[-1] += b"\n" + line
        else:
            fields.append(line)
    return fields


def content(data):
    """Header fields that the client wrote, and the body: the top Received header is a server's."""
    head, gap, body = data.partition(b"\r\n\r\n")
    fields = headers_of(head.split(b"\r\n"))
    kept = [f for f in fields if not f.lower().startswith(IGNORED_HEADERS)]
    return b"\r\n".join(kept) + gap + body


def deliveries(messages, tag):
    """{(sender, recipient, content)} of what carries the tag; bounces are not compared."""
    found = set()
    for sender, recipients, data in messages:
        if tag in data and b"\r\nContent-Type: multipart/report" not in data:
            found |= {(sender, recipient, content(data)) for recipient in recipients}
    return found


def mail_difference(messages, tag, settings):
    left, right = (deliveries(messages[name], tag) for name in ("postfix", "ringmx"))
    if left == right:
        return None
    only = [sorted(side)[:1] for side in (left - right, right - left)]
    told = "\n".join(f"   only {name}: {short(one)}"
                     for name, one in zip(("postfix", "ringmx"), only, strict=True))
    known = next((k.name for k in KNOWN_MAIL if k.when(tag, left - right, right - left, settings)),
                 None)
    return told, known


KNOWN_MAIL = []


def short(found):
    if not found:
        return "nothing"
    sender, recipient, data = found[0]
    return f"<{sender}> <{recipient}> {data[:600]!r}"


def code(reply):
    return re.match(r"(\d{3}(?:[ -]\d\.\d\.\d+)?)?", reply).group(0)


def closed(reply):
    return reply.endswith(CLOSED)
