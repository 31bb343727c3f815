"""What counts as a difference, and the differences that are meant (proto/README.md has them with
their reasons; here each is a rule that recognises it and nothing else)."""

import re

ADDED_HEADERS = (b"received:", b"message-id:", b"date:", b"delivered-to:", b"x-original-to:")
DROPPED_HEADERS = (b"bcc:", b"content-length:", b"resent-bcc:", b"return-path:")


ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LOCAL = rb"(?:" + ATOM + rb"(?:\." + ATOM + rb')*|"(?:[ !#-\[\]-~]|\\[ -~])*")'
LABEL = rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
DOMAIN = rb"(?:" + LABEL + rb"(?:\." + LABEL + rb")*|\[[0-9.]+\]|\[IPv6:[0-9a-fA-F:.]+\])"
ROUTE = rb"(?:(?:@" + DOMAIN + rb",?)*:)?"
WELL_FORMED = re.compile(rb"(?:MAIL FROM|RCPT TO):<(?:" + ROUTE + LOCAL
                         + rb"(?:@" + DOMAIN + rb")?)?>(?: .*)?", re.IGNORECASE)


class Case:
    """The first place where the replies differ: bytes sent, both replies, the rows before and the
    settings."""

    def __init__(self, sent, theirs, ours, before, settings):
        self.sent, self.theirs, self.ours = sent, theirs, ours
        self.before, self.settings = before, settings


def path_is_odd(case):
    """Postfix repairs what is no path of RFC 5321; ringmx refuses it before it asks anything."""
    rows = [row for row in case.sent.split(b"\r\n") if re.match(rb"(?i)(mail|rcpt)\b", row)]
    odd = any(not WELL_FORMED.fullmatch(row) or longest_part(row) > 64 for row in rows)
    bad = r"[45]01 [45]\.1\.[37] Bad (sender|recipient) address"
    both_refuse = case.ours[:1] in ("4", "5") and re.match(bad, case.theirs)
    earlier = [row for sent, _ in case.before for row in sent.split(b"\r\n")
               if re.match(rb"(?i)(mail|rcpt)\b", row)]
    odd_before = any(not WELL_FORMED.fullmatch(row) for row in earlier)
    other_text = case.ours[:9] == case.theirs[:9] and case.ours[:1] in ("4", "5")
    return odd and (re.match(bad, case.ours) or both_refuse) or (odd or odd_before) and other_text


def longest_part(row):
    """The longest local part or label of a path."""
    return max(len(part) for part in re.split(rb"[<>@.:, ]", row))


def size_sticks(case):
    """Postfix holds the SIZE= of a refused MAIL against the next one."""
    refused_before = any(re.search(rb"(?i)SIZE=\d{4,}", sent) for sent, _ in case.before)
    return case.theirs[5:] == ".3.4 Message size exceeds fixed limit" and refused_before \
        and b"SIZE" not in case.sent.upper()


def end_of_data_ends(case):
    """After a refusal by smtpd_end_of_data_restrictions Postfix's transaction goes on."""
    replies = [reply for _, reply in case.before]
    after_data = any(first.startswith("354") and then[:1] in ("4", "5")
                     for first, then in zip(replies, replies[1:], strict=False))
    after_chunk = any(re.match(rb"BDAT \d+ LAST\r\n", sent) and reply[:1] in ("4", "5")
                      for sent, reply in case.before)
    about_it = re.match(rb"(?i)\s*(mail|rcpt|data|bdat|vrfy|etrn|ehlo|helo|rset|xclient|xforward)",
                        case.sent)
    in_group = case.sent.count(b"\r\n") > 1 and any(r[:1] in ("4", "5") for r in replies) \
        and case.theirs.endswith("nested MAIL command")
    # Its server then ends in the next message, and takes replies that it has not sent along.
    dies = case.theirs == "(closed)" and b"\r\n.\r\n" in case.sent
    return (after_data or after_chunk or in_group or dies) and about_it \
        and "smtpd_end_of_data_restrictions" in case.settings


def last_chunk_ends(case):
    """In Postfix before 3.12 the recipients outlive a last chunk that was refused (V20)."""
    refused = any(re.search(rb"BDAT \d+ LAST\r\n", sent) and reply[:1] in ("4", "5")
                  for sent, reply in case.before)
    return refused and re.search("Error: (need RCPT command|no valid recipients)$", case.ours)


def two_refusals(case):
    """Postfix asks smtpd_end_of_data_restrictions before it says what is wrong with the message."""
    ours = re.search("too many hops|bare <LF> received|message file too big", case.ours)
    return ours and case.theirs[:1] in ("4", "5") \
        and "smtpd_end_of_data_restrictions" in case.settings


def stale_deferral(case):
    """Postfix keeps the text, and for VRFY the fact, of what an earlier transaction deferred."""
    text = "requested$|maybe$"
    vrfy = re.match(rb"(?i)VRFY", case.sent) and re.search(text, case.theirs) \
        and case.ours.startswith("252")
    another_client = any(sent.startswith(b"XCLIENT") and reply.startswith("220")
                         for sent, reply in case.before)
    same_code = re.search(text, case.ours) and case.ours[:9] == case.theirs[:9]
    return vrfy or (re.search(text, case.theirs) and (same_code or another_client))


def vrfy_has_no_message(case):
    """Postfix lets DISCARD act for VRFY, and asks nothing more."""
    return re.match(rb"(?i)VRFY", case.sent) and case.theirs.startswith("252") \
        and any(b"hold.test" in sent for sent, _ in case.before)


def never_fits(case):
    """message_size_limit = 0 is no limit, but the queue has one."""
    return "Insufficient system storage" in case.ours and re.search(rb"SIZE=\d{10}", case.sent)


def dsn_is_strict(case):
    """ringmx refuses what decodes to a control byte or is longer than RFC 3461 allows."""
    odd = re.search(rb"ENVID=(x\+00|\S{101})|ORCPT=(rfc822;a\+0D|\S{501})", case.sent)
    return odd and re.match(r"[45]01 [45]\.5\.4 (Error: )?Bad (ORCPT|ENVID)", case.ours)


def chunk_without_end(case):
    """Postfix before 3.12 waits for a chunk that it will not take, however large."""
    waits = case.theirs in ("(silent)", "(closed)") and b"BDAT" in case.sent \
        and (b"BDAT 9999" in case.sent or "Discarded" in case.ours)
    limit = int(case.settings.get("message_size_limit", 10240000))
    chunks = [int(size) for sent, _ in case.before for size in re.findall(rb"BDAT (\d+)", sent)]
    return waits or (case.ours == "(closed)" and limit > 0 and sum(chunks) > 1.5 * limit)


def counted_by_line(case):
    """Postfix counts its own records of a chunk: two more for each that cuts a long line, and
    nothing of a line that goes on in the next chunk."""
    replies = [re.sub(r"Ok: \d+ bytes", "Ok", one) for one in (case.theirs, case.ours)]
    if replies[0] == replies[1] and b"BDAT" in case.sent:
        return True
    return {one[6:] for one in (case.theirs, case.ours)} == {
        "3.4 Error: message file too big", "3.4 Chunk exceeds message size limit"}


def eight_bit_is_masked(case):
    def masked(mask):
        return "".join(c if c.isascii() else mask * len(c.encode()) for c in case.theirs)
    return case.ours in (masked("?"), masked(" "))


def envelope_counts(case):
    """Postfix's limit is for the queue file, envelope and Received header included."""
    limit = int(case.settings.get("message_size_limit", 10240000))
    return "message file too big" in case.theirs and case.ours.startswith("250") \
        and limit - 1500 < len(case.sent) <= limit + 5


def local_without_alias(case):
    """ringmx has no mailboxes: who has no alias is unknown, whatever is not to be checked."""
    return case.theirs.startswith("25") \
        and re.search("rejected: (User unknown|defer_if_reject)", case.ours) \
        and case.settings.get("smtpd_reject_unlisted_recipient") == "no"


def quoted_parameter(case):
    """Postfix takes a quote in the parameters as the start of a token with blanks."""
    return re.search(rb' ["<]', case.sent) and "Unsupported option" in case.ours \
        and case.theirs.startswith(case.ours)


def long_text(case):
    """A reply repeats a limited part of what the client sent."""
    return len(case.theirs) > 400 and len(case.ours) > 50 and case.theirs.startswith(case.ours[:50])


KNOWN = {
    "a path that is not of RFC 5321's form is refused at once": path_is_odd,
    "the size of a refused MAIL does not stick": size_sticks,
    "the transaction ends at every end of data": end_of_data_ends,
    "the envelope is not counted in message_size_limit": envelope_counts,
    "local recipients need an alias": local_without_alias,
    "a quote does not join ESMTP parameters": quoted_parameter,
    "replies repeat a limited part": long_text,
    "NUL in a command is no end": lambda case: b"\0" in case.sent and case.ours[1:3] == "00",
    "a command line over the limit is refused as a whole": lambda case:
        case.ours.endswith("Error: command too long") and len(case.sent) > 2048,
    "8-bit is masked in replies": eight_bit_is_masked,
    "a dot behind the domain is not repeated": lambda case:
        case.theirs.replace(".>", ">") == case.ours,
    "the transaction ends with the last chunk": last_chunk_ends,
    "a message that the queue can never hold": never_fits,
    "HELP is Postfix 3.9's": lambda case: "not recognized" in case.theirs
        and re.match("214 2.0.0 Commands: |.54 ..5.0 Error: SMTP protocol sync", case.ours)
        and b"HELP" in case.sent.upper(),
    "which of two refusals comes first at the end of data": two_refusals,
    "what a transaction deferred is forgotten with it": stale_deferral,
    "postmaster stays accepted": lambda case: "<postmaster>" in case.theirs.lower()
        and "rejected: User unknown" in case.theirs,
    "a HELO name is made harmless before it is looked at": lambda case:
        re.match(rb"(?i)\s*(HELO|EHLO)", case.sent) and "Helo command" in case.ours
        and case.ours[:9] == case.theirs[:9],
    "VRFY does nothing to a message": vrfy_has_no_message,
    "XCLIENT's address counts for permit_inet_interfaces too": lambda case:
        any(sent.startswith(b"XCLIENT") and reply.startswith("220") for sent, reply in case.before)
        and "permit_inet_interfaces" in str(case.settings),
    "an unlisted sender is looked at again": lambda case:
        "Sender address rejected: User unknown" in case.ours and case.theirs[:1] in ("2", "3", "4"),
    "DSN parameters that would break a line, or are too long": dsn_is_strict,
    "a chunk far over the limit is not waited for": chunk_without_end,
    "the bytes of chunks are counted as they come": counted_by_line,
}


def first_difference(told, settings):
    """(index, sent, Postfix's reply, ringmx's reply, name of the known rule or None), or None."""
    ours, theirs = told["ringmx"], told["postfix"]
    for index in range(max(len(ours), len(theirs))):
        left = theirs[index] if index < len(theirs) else (b"", "(nothing)")
        right = ours[index] if index < len(ours) else (b"", "(nothing)")
        if left == right:
            continue
        sent = left[0] or right[0]
        case = Case(sent, left[1], right[1], theirs[:index], settings)
        known = next((name for name, recognises in KNOWN.items() if recognises(case)), None)
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
    """(text, name of the known rule or None, kind), or None."""
    left, right = (deliveries(messages[name], tag) for name in ("postfix", "ringmx"))
    if left == right:
        return None
    told = "\n".join(f"   only {name}: {short(sorted(side)[:3])}" for name, side in
                     (("postfix", left - right), ("ringmx", right - left)))
    known = next((name for name, recognises in KNOWN_MAIL.items()
                  if recognises(left, right, settings)), None)
    return told, known, mail_signature(left, right)


def as_cleaned(found):
    return {(sender, to, as_cleanup_writes(data)) for sender, to, data in found}


def without_cr(found):
    """Bare CR as nothing at the end of a line, where Postfix removes it, else as a blank."""
    return {(sender, to, re.sub(rb"\r(?!\n)", b" ", re.sub(rb"[\r ]*\r\n", b"\r\n", data)))
            for sender, to, data in found}


def completed(found, settings):
    """The addresses as Postfix completes them (@myorigin, .mydomain), plainly quoted."""
    def whole(address):
        local, at, domain = address.rpartition("@")
        if address.startswith('"') and address.endswith('"') and at:
            address = address[1:-1]
            local, at, domain = address.rpartition("@")
        if not at and settings.get("allow_percent_hack", "yes") == "yes":
            local, at, domain = address.rpartition("%")
        if not at and address:
            local, domain = address, settings["myorigin"]
        elif "." not in domain and domain and settings.get("append_dot_mydomain") == "yes":
            domain += "." + settings["mydomain"]
        return f"{local}@{domain}" if address else ""
    return {(whole(sender), whole(to), as_cleanup_writes(data)) for sender, to, data in found}


def without_long_fields(found, settings):
    """Without the header fields that Postfix cuts."""
    limit = int(settings.get("header_size_limit", 102400))

    def short_fields(data):
        fields, rest = split(data)
        return b"\r\n".join(field for field in fields if len(field) < limit - 200) + rest
    return {(sender, to, short_fields(data)) for sender, to, data in completed(found, settings)}


def folded(found, settings):
    return {(sender, to.lower().rstrip("."), data)
            for sender, to, data in completed(found, settings)}


KNOWN_MAIL = {
    "an alias is no hop": lambda left, right, settings: settings.get("hopcount_limit") == "3"
        and completed(left, settings) < completed(right, settings),
    "a recipient named twice gets one copy": lambda left, right, settings:
        folded(left, settings) == folded(right, settings),
    "a long header field is not cut": lambda left, right, settings:
        without_long_fields(left, settings) == without_long_fields(right, settings),
    "header lines arrive as they came": lambda left, right, _:
        as_cleaned(left) == as_cleaned(right),
    "addresses arrive as they came": lambda left, right, settings:
        completed(left, settings) == completed(right, settings),
    "a bare CR becomes a blank": lambda left, right, settings:
        without_cr(without_long_fields(left, settings))
        == without_cr(without_long_fields(right, settings)),
}


def mail_signature(left, right):
    """Which parts of the deliveries differ."""
    parts = ("sender", "recipient", "content")
    return "mail: " + " ".join(name for at, name in enumerate(parts)
                               if {x[at] for x in left} != {x[at] for x in right})


def short(found):
    if not found:
        return "nothing"
    return "\n      ".join(f"<{sender}> <{to}> {data[:300]!r}" for sender, to, data in found)


def signature(sent, theirs, ours):
    """Differences of one kind: the verb, and the texts without what varies."""
    def plain(reply):
        return re.sub(r"<.*?>|\b\d+\.\S+:", "<>", reply.split("\n")[-1])[:90]
    verb = re.match(rb"[^ :\r]*", sent).group(0)[:8].decode("latin-1").upper()
    return f"{verb} | {plain(theirs)} | {plain(ours)}"
