"""Random configurations that both servers are started with.

FEATURES is a table: a name, and the settings that it may have. Each is put to `ringmx --check`
once; what ringmx does not take is left out and said, and joins by itself when it is built.
"""

from differ.servers import accepted_by_check

TABLES = {
    "domains": "example.test OK\nsub.example.test OK\nsecond.test OK\n.dotted.test OK\n",
    "recipients": "user@example.test OK\nOther@example.test OK\nplus+tag@example.test OK\n"
                  "@second.test OK\nuser@sub.example.test OK\n\"a b\"@example.test OK\n"
                  "bounce@example.test OK\na.b@example.test OK\n",
    "aliases": "root: user@example.test\nlist: user@example.test, other@example.test\n"
               "postmaster: root\nloop: loop2\nloop2: loop\n",
    "virtual": "forward@virtual.test user@example.test\n@all.virtual.test other@example.test\n"
               "moved@example.test user@example.test, a.b@example.test\n",
    "senders": "bad@sender.test REJECT\nlate@sender.test DEFER\nsender.test OK\n"
               "text@sender.test 554 5.7.9 not you\ncode@sender.test 450 later\n"
               "<> DUNNO\nuser@ REJECT local part\nhold.test DISCARD\nwarn.test WARN look\n"
               "dip.test DEFER_IF_PERMIT maybe\ndir.test DEFER_IF_REJECT perhaps\n"
               ".sub.test REJECT below\ninfo.test INFO seen\nnum.test 42\nnone.test DUNNO\n",
    "rcpts": "user@example.test DUNNO\na.b@example.test REJECT no dots\n"
             "second.test 550 5.1.1 gone\nelsewhere.test OK\nother@ DEFER 4.2.0 full\n"
             "plus@example.test REJECT tagged\n",
    "helos": "bad.helo REJECT helo\nhelo REJECT parent\ngood.client.test OK\n"
             "[127.0.0.1] DEFER_IF_PERMIT literal\n",
    "clients": "127.0.0.1 DUNNO\n127 REJECT net\nunknown WARN unknown\n",
    "clients_ok": "127.0.0 OK\n",
    "transports": "far.test smtp:\nerr.test error:5.1.2 closed here\nretry.test retry:4.3.0 wait\n"
                  "drop.test discard:\nerr@example.test error:user closed\n",
}
YES_NO = ["yes", "no"]
CODES = ["450", "550", "554"]
FEATURES = {
    "recipient_delimiter": ["", "+", "-+"],
    "smtpd_delay_reject": YES_NO,
    "smtpd_helo_required": YES_NO,
    "disable_vrfy_command": YES_NO,
    "append_at_myorigin": YES_NO,
    "append_dot_mydomain": YES_NO,
    "swap_bangpath": YES_NO,
    "allow_percent_hack": YES_NO,
    "allow_untrusted_routing": YES_NO,
    "resolve_numeric_domain": YES_NO,
    "resolve_null_domain": YES_NO,
    "resolve_dequoted_address": YES_NO,
    "strict_rfc821_envelopes": YES_NO,
    "smtpd_reject_unlisted_sender": YES_NO,
    "smtpd_reject_unlisted_recipient": YES_NO,
    "smtpd_forbid_bare_newline": ["no", "normalize", "reject"],
    "smtpd_forbid_unauth_pipelining": YES_NO,
    "smtpd_relay_before_recipient_restrictions": YES_NO,
    "show_user_unknown_table_name": YES_NO,
    "soft_bounce": YES_NO,
    "message_size_limit": ["0", "3000", "10240000"],
    "smtpd_recipient_limit": ["2", "1000"],
    "smtpd_recipient_overshoot_limit": ["1", "1000"],
    "smtpd_soft_error_limit": ["1", "3", "10"],
    "smtpd_hard_error_limit": ["2", "5", "20"],
    "smtpd_junk_command_limit": ["1", "3", "100"],
    "smtpd_null_access_lookup_key": ["<>", "null"],
    "smtpd_discard_ehlo_keywords": ["", "pipelining", "vrfy, size", "8bitmime, dsn", "chunking"],
    "line_length_limit": ["200", "2048"],
    "hopcount_limit": ["3", "50"],
    "header_size_limit": ["1000", "102400"],
    "parent_domain_matches_subdomains": ["", "relay_domains, smtpd_access_maps", "mynetworks"],
    "mynetworks": ["127.0.0.0/8", "10.0.0.0/8", "!127.0.0.1, 127.0.0.0/8"],
    "mydestination": ["", "$myhostname", "$myhostname, localhost.$mydomain, local.test"],
    "relay_domains": ["hash:TABLES/domains", "example.test, second.test, hash:TABLES/domains"],
    "relay_recipient_maps": ["", "hash:TABLES/recipients"],
    "virtual_alias_maps": ["", "hash:TABLES/virtual"],
    "virtual_alias_domains": ["", "virtual.test, all.virtual.test"],
    "transport_maps": ["", "hash:TABLES/transports"],
    "unknown_local_recipient_reject_code": CODES,
    "unknown_relay_recipient_reject_code": CODES,
    "unknown_virtual_alias_reject_code": CODES,
    "access_map_reject_code": CODES,
    "access_map_defer_code": ["450", "451"],
    "relay_domains_reject_code": CODES,
    "reject_code": CODES,
    "defer_code": ["450", "451"],
    "non_fqdn_reject_code": CODES,
    "invalid_hostname_reject_code": CODES,
    "multi_recipient_bounce_reject_code": CODES,
    "smtpd_noop_commands": ["", "HELP FROB"],
    "smtpd_forbidden_commands": ["", "CONNECT GET POST"],
    "smtpd_authorized_xclient_hosts": ["", "127.0.0.0/8"],
    "smtpd_authorized_xforward_hosts": ["", "127.0.0.0/8"],
    "smtpd_error_sleep_time": ["0s", "0s", "0s", "0s", "0s", "0s", "0s", "1s"],
}
LISTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn"]
ANYWHERE = [
    "permit", "reject", "defer", "permit_mynetworks", "permit_inet_interfaces",
    "reject_unauth_pipelining", "check_client_access hash:TABLES/clients",
    "check_client_access hash:TABLES/clients_ok", "check_helo_access hash:TABLES/helos",
    "check_client_access cidr:{{127.0.0.1 DUNNO}, {0.0.0.0/0 REJECT}}",
    "defer_if_permit", "defer_if_reject", "warn_if_reject reject", "reject_plaintext_session",
    "reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname",
    "check_reverse_client_hostname_access hash:TABLES/clients", "strict", "sleep 0",
    "check_client_access static:DUNNO", "check_client_access inline:{127.0.0.1=OK}"]
WITH_SENDER = ["reject_non_fqdn_sender", "check_sender_access hash:TABLES/senders",
               "reject_unlisted_sender",
               "warn_if_reject check_sender_access hash:TABLES/senders"]
WITH_RECIPIENT = ["reject_non_fqdn_recipient", "check_recipient_access hash:TABLES/rcpts",
                  "reject_unauth_destination", "permit_auth_destination",
                  "reject_unlisted_recipient",
                  "defer_unauth_destination", "reject_multi_recipient_bounce",
                  "check_recipient_access pcre:{{/^\"/ REJECT quoted}}"]
BARE_SENDER, BARE_RECIPIENT = ["hash:TABLES/senders"], ["hash:TABLES/rcpts"]
CLASSES = {"smtpd_restriction_classes": "strict",
           "strict": "check_helo_access hash:TABLES/helos, reject_non_fqdn_helo_hostname"}


class Config:
    def __init__(self, number, chosen):
        self.number, self.chosen = number, chosen
        self.tables = TABLES

    def settings(self, tables):
        return {key: value.replace("TABLES", str(tables)) for key, value in self.chosen.items()}


def base(hidden_keywords=""):
    return {"compatibility_level": "3.6", "myhostname": "mx.example.test", "biff": "no",
            "mydomain": "example.test", "myorigin": "example.test", "mydestination": "",
            "smtpd_banner": "$myhostname ESMTP hello", "mail_name": "Postfix",
            "relay_domains": "hash:TABLES/domains", "mynetworks": "127.0.0.0/8",
            "local_recipient_maps": "$alias_maps", "alias_database": "",
            "alias_maps": "hash:TABLES/aliases",
            "smtpd_error_sleep_time": "0s", "smtpd_relay_restrictions": "reject_unauth_destination",
            "smtpd_discard_ehlo_keywords": hidden_keywords,
            "smtpd_forbid_bare_newline": "normalize", "smtpd_forbid_unauth_pipelining": "yes",
            "local_header_rewrite_clients": "", "relayhost": "[127.0.0.1]:1",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "smtputf8_enable": "no" if "smtputf8" in hidden_keywords else "yes",
            "smtp_line_length_limit": "0"}


def elements_of(name, offered):
    """The restrictions that make sense in a list, as Postfix documents them."""
    wanted = list(ANYWHERE)
    if name == "sender":
        wanted += BARE_SENDER
    if name == "recipient":
        wanted += BARE_RECIPIENT
    if name not in ("client", "helo", "etrn"):
        wanted += WITH_SENDER
    if name not in ("client", "helo", "sender", "etrn"):
        wanted += WITH_RECIPIENT
    return [element for element in wanted if element in offered]


class Features:
    """What ringmx takes of the table: asked once, each alone."""

    def __init__(self, folder, compile_tables, hidden_keywords):
        self.hidden = hidden_keywords
        self.left_out = {}
        self.values, self.restrictions = {}, set()
        self.folder, self.tables = folder, compile_tables
        self.base = base(hidden_keywords)
        if why := self.refused({"mail_name": "Postfix"}):
            raise AssertionError(f"ringmx refuses the simplest configuration: {why}")
        for name, values in FEATURES.items():
            taken = [v for v in values if not self.ask(f"{name} = {v}", {name: v})]
            if taken:
                self.values[name] = taken
        for element in [*ANYWHERE, *WITH_SENDER, *WITH_RECIPIENT, *BARE_SENDER, *BARE_RECIPIENT]:
            place = "recipient" if element.startswith("hash:TABLES/rcpts") else "sender"
            classes = CLASSES if element == "strict" else {}
            needs = {f"smtpd_{place}_restrictions": element} | classes
            if not self.ask(element, needs):
                self.restrictions.add(element)

    def refused(self, extra):
        settings = Config(0, self.base | extra).settings(self.tables)
        text = "".join(f"{key} = {value}\n" for key, value in settings.items())
        return accepted_by_check(self.folder, text)

    def ask(self, what, extra):
        if why := self.refused(extra):
            self.left_out[what] = why
        return what in self.left_out

    def config(self, random, number):
        """A configuration that ringmx takes; half of the features stay at their default."""
        while True:
            chosen = dict(self.base)
            for name, values in self.values.items():
                if random.random() < 0.3:
                    chosen[name] = random.choice(values)
            if self.hidden:
                wanted = chosen["smtpd_discard_ehlo_keywords"]
                hidden = f"{self.hidden}, {wanted}" if wanted else self.hidden
                chosen["smtpd_discard_ehlo_keywords"] = hidden
            for name in LISTS:
                if random.random() < 0.55 and (elements := elements_of(name, self.restrictions)):
                    some = random.choices(elements, k=random.randint(1, 4))
                    chosen[f"smtpd_{name}_restrictions"] = ", ".join(some)
            if random.random() < 0.8:
                relay = chosen.get("smtpd_relay_restrictions", "")
                chosen["smtpd_relay_restrictions"] = f"{relay}, reject_unauth_destination"
            if any("strict" in v for k, v in chosen.items() if k.endswith("_restrictions")):
                chosen |= CLASSES
            if not self.refused(chosen):
                return Config(number, chosen)
