"""What counts as a difference, and the differences that are meant (proto/README.md has them with
their reasons; here each is a rule that recognises it and nothing else)."""

import re

ADDED_HEADERS = (b"received:", b"message-id:", b"date:", b"delivered-to:", b"x-original-to:")
DROPPED_HEADERS = (b"bcc:", b"content-length:", b"resent-bcc:", b"return-path:")


class Known:
    """A difference that is meant, and how it is recognised."""

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


def split(data):
    """(header fields, the rest with its empty line): the fields are those that have a name."""
    fields, rest = [], data
    while rest:
        row, end, after = rest.partition(b"\r\n")
        if row[:1] in (b" ", b"\t") and fields:
            fields[-1] += b"\r\n" + row
        elif re.match(rb"[!-9;-~]+[ \t]*:", row):
            fields.append(row)
        else:
            break
        rest = after if end else b""
    return fields, rest


def content(data, ignored=ADDED_HEADERS):
    """The header fields that the client wrote, and the body; a server's own fields are left out."""
    fields, rest = split(data)
    kept = [field for field in fields if not field.lower().startswith(ignored)]
    return b"\r\n".join([*kept, b""]) + rest


def as_cleanup_writes(data):
    """As Postfix's cleanup leaves a message: without message_drop_headers, and with an empty line
    before the first line that is no header field."""
    fields, rest = split(content(data, ADDED_HEADERS + DROPPED_HEADERS))
    gap = b"" if rest.startswith(b"\r\n") or not rest else b"\r\n"
    return b"\r\n".join([*fields, b""]) + gap + rest


def deliveries(messages, tag):
    """{(sender, recipient, content)} of what carries the tag; bounces are not compared."""
    found = set()
    for sender, recipients, data in messages:
        if tag in data and b"\r\nContent-Type: multipart/report" not in data:
            found |= {(sender, recipient, content(data)) for recipient in recipients}
    return found


def mail_difference(messages, tag, settings):
    """(text, name of the known rule or None), or None."""
    left, right = (deliveries(messages[name], tag) for name in ("postfix", "ringmx"))
    if left == right:
        return None
    told = "\n".join(f"   only {name}: {short(sorted(side)[:1])}" for name, side in
                     (("postfix", left - right), ("ringmx", right - left)))
    known = next((k.name for k in KNOWN_MAIL if k.when(left, right, settings)), None)
    return told, known


def header_is_kept(left, right, _):
    written = {(sender, to, as_cleanup_writes(data)) for sender, to, data in right}
    return written == {(sender, to, as_cleanup_writes(data)) for sender, to, data in left}


KNOWN_MAIL = [Known("header lines arrive as they came", header_is_kept)]


def short(found):
    if not found:
        return "nothing"
    sender, recipient, data = found[0]
    return f"<{sender}> <{recipient}> {data[:400]!r}"


def signature(sent, theirs, ours):
    """Differences of one kind: the command without its argument, and the texts without what varies."""
    def plain(reply):
        return re.sub(r"<.*?>|\b\d+\.\S+:", "<>", reply.split("\n")[-1])[:90]
    return f"{re.match(r'[^ :]*', sent).group(0)[:8].upper()} | {plain(theirs)} | {plain(ours)}"
