// proto/base/limits.h - every fixed limit of the program, in one place, with the relations between
// them. What an operator can set is a parameter of main.cf; what is here is set by a standard, by
// the format of something on disk, or by what one session may cost.
#pragma once

#include <cstdint>

namespace mx::limits {

// RFC 5321 4.5.3.1: octets. A longer part is refused, never cut.
// RFC 5321 4.5.3.1.1 asks every system to take 64 and to go beyond where it can: forwarders (SRS)
// and list managers (VERP) use longer ones, and Postfix takes them.
inline constexpr uint32_t local_part_bytes_max = 255;
inline constexpr uint32_t domain_bytes_max = 255;
inline constexpr uint32_t domain_label_bytes_max = 63;
inline constexpr uint32_t address_bytes_max = local_part_bytes_max + 1 + domain_bytes_max;
inline constexpr uint32_t path_bytes_max = address_bytes_max + 2;  // with the angle brackets

// A command line, CRLF included; Postfix's line_length_limit default, ours is at most this.
inline constexpr uint32_t command_line_bytes_max = 2048;
// A peer that sends this much without a line end is cut off (V24).
inline constexpr uint32_t command_discard_bytes_max = 1U << 20;
// RFC 3461 4.2 and 4.4: an ORCPT= and an ENVID= as they stand in the command.
inline constexpr uint32_t dsn_original_recipient_bytes_max = 500;
inline constexpr uint32_t dsn_envelope_id_bytes_max = 100;
// XCLIENT and XFORWARD: the value of one attribute.
inline constexpr uint32_t client_attribute_bytes_max = 255;
// A PROXY header with its extensions; more than one segment brings is nobody's.
inline constexpr uint32_t proxy_header_bytes_max = 4096;
// Replies that may wait for one session before its next command is read.
inline constexpr uint32_t reply_backlog_bytes_max = 16U << 10;
// A reply line as sent, CRLF included (RFC 5321 4.5.3.1.5).
inline constexpr uint32_t reply_line_bytes_max = 512;
inline constexpr uint32_t recipients_max = 65'535;  // index ranges in the journal are 16 bits

// What a backend may send: one reply, all its lines together, and the number of lines.
inline constexpr uint32_t backend_reply_line_bytes_max = 2048;
inline constexpr uint32_t backend_reply_lines_max = 128;

// Memory blocks of a shard: staging of a body that is being received, and the body cache.
inline constexpr uint32_t body_block_bytes = 16U << 10;
// Receive buffers of a shard, for commands and replies: 8 MiB that all its connections share.
inline constexpr uint32_t receive_buffers = 2048;
inline constexpr uint32_t receive_buffer_bytes = 4096;
// Each of the two buffers of a journal's stream.
inline constexpr uint32_t journal_batch_bytes_max = 1U << 20;
// Unfinished messages of a shard, and what each costs: index, buckets, schedule.
inline constexpr uint32_t queued_messages_max = 2'000'000;
inline constexpr uint32_t queued_message_bytes = 128;
// What a session and a connection to a backend cost at most, a transaction of many recipients
// apart; sessions also when idle. Held by static_assert beside the structures.
inline constexpr uint32_t session_bytes = 8U << 10;
inline constexpr uint32_t session_recipient_bytes = 2048;  // of a transaction: text and envelope
inline constexpr uint32_t connection_bytes = 16U << 10;    // and a window to read a body back
inline constexpr uint32_t connections_max = 4096;          // to backends, a shard
// Messages that are being told of at once, in a shard.
inline constexpr uint32_t notice_jobs_max = 32;
// Log lines of a thread that the writer has not taken yet.
inline constexpr uint32_t log_stream_bytes = 1U << 20;
// The trace header block (Received, PREPEND) of one message.
inline constexpr uint32_t header_block_bytes_max = 4096;
// A header name that is longer is none (Postfix looks at line_length_limit bytes for the colon), so
// that what a first line is, is known before the first block is stored.
inline constexpr uint32_t header_name_bytes_max = 2048;
// What access tables may add to one message, and how far restriction classes may reach.
inline constexpr uint32_t prepended_bytes_max = 16U << 10;
inline constexpr uint32_t bcc_addresses_max = 100;
inline constexpr uint32_t restriction_depth_max = 100;
inline constexpr uint32_t restriction_steps_max = 10'000;

// main.cf and table sources.
inline constexpr uint32_t config_bytes_max = 8U << 20;           // the whole file
inline constexpr uint32_t config_line_bytes_max = 1U << 20;      // one logical line
inline constexpr uint32_t config_expansion_depth_max = 100;      // as Postfix's mac_expand
inline constexpr uint32_t config_value_bytes_max = 1U << 20;     // after expansion
inline constexpr uint32_t config_expansion_work_max = 4U << 20;  // bytes read for one value
inline constexpr uint32_t config_list_file_depth_max = 10;       // /file in a /file in a list
inline constexpr uint32_t config_list_files_max = 100;           // read for lists in one load
inline constexpr uint32_t config_list_bytes_max = 32U << 20;     // all of them together
inline constexpr uint32_t config_entries_max = 10'000;           // name = value in main.cf

// Files that the privileged reader opens: main.cf, certificates and keys.
inline constexpr uint32_t privileged_paths_max = 256;

// aliases(5): aliases inside one another, as Postfix's local(8).
inline constexpr uint32_t alias_depth_max = 100;
// A recipient or sender that an expansion made, in its quoted form.
inline constexpr uint32_t envelope_address_bytes_max = 1024;
// Places that mail goes to at one time: relayhost, what transport_maps names, domains; and the
// threads that look their names up.
inline constexpr uint32_t next_hops_max = 4096;
inline constexpr uint32_t lookup_threads = 4;
// What one of them takes, and what of it each shard has.
inline constexpr uint32_t next_hop_bytes = 24U << 10;    // 32 backends: names, why they are down
inline constexpr uint32_t destination_bytes = 8U << 10;  // the same as lanes, and empty lists
// Addresses of one of them.
inline constexpr uint32_t backends_max = 32;

// DNS: records of an answer that are used, and aliases on the way to them (Postfix's limits).
inline constexpr uint32_t dns_records_max = 100;
inline constexpr uint32_t dns_aliases_max = 10;
inline constexpr uint32_t dns_questions_at_once = 64;  // each on a socket of its own
// Hosts of one MX answer whose addresses are looked up: the best.
inline constexpr uint32_t mx_hosts_max = 32;
// ringmx_dns_servers; the C library takes three of resolv.conf.
inline constexpr uint32_t dns_servers_max = 8;

// A compiled table: one key, one value. No address or name reaches the key's limit.
inline constexpr uint32_t table_key_bytes_max = 1024;
inline constexpr uint32_t table_value_bytes_max = config_line_bytes_max;
// A value that is made at look-up: the text of a pattern's rule with its $1, or a union's values.
inline constexpr uint32_t table_made_value_bytes_max = 8192;
// cidr, regexp and pcre tables: rules, and `if`s inside one another.
inline constexpr uint32_t table_cidr_rules_max = 1U << 24;
inline constexpr uint32_t table_pattern_rules_max = 100'000;
inline constexpr uint32_t table_if_depth_max = 100;
inline constexpr uint32_t table_diagnostics_max = 10'000;  // complaints about one source
// What one look-up may cost in one pattern, so that no key holds up a shard for long in it (a table
// of many costly patterns adds up): steps of the matcher,
// how deep its choices may nest, and what it may remember of them. An ordinary pattern needs a few
// thousand steps for the longest key; the match limit is a few milliseconds.
inline constexpr uint32_t pattern_match_steps_max = 200'000;
inline constexpr uint32_t pattern_match_depth_max = 20'000;
inline constexpr uint32_t pattern_match_heap_kib_max = 8192;
inline constexpr uint32_t pattern_jit_stack_bytes_max = 1U << 20;
// $1 … ${99} in the text of a rule; parentheses inside one another (PCRE2's own limit).
inline constexpr uint32_t pattern_groups_max = 99;
inline constexpr uint32_t pattern_nesting_max = 250;
inline constexpr uint32_t pattern_bytes_max = 65'535;
// The source of a cidr, regexp or pcre table; accounts in unix:passwd.byname.
inline constexpr uint32_t table_rules_bytes_max = 1U << 30;
inline constexpr uint32_t table_system_entries_max = 1'000'000;
// unionmap:{unionmap:{…}}; Postfix knows no limit, people need one level.
inline constexpr uint32_t table_spec_depth_max = 8;
inline constexpr uint32_t table_spec_parts_max = 100;  // tables in one unionmap, at all depths
// A source or a compiled table as mapc reads it, whole.
inline constexpr uint64_t table_source_bytes_max = 64ULL << 30;
// The set record (maps/set_record.h): tables that one mapc run wrote. A path: PATH_MAX.
inline constexpr uint32_t table_path_bytes_max = 4095;
inline constexpr uint32_t table_set_paths_max = 4096;
inline constexpr uint32_t table_set_bytes_max = 17U << 20;

// The journal (queue/README.md). A chunk is at most this, less with small buffers or segments.
inline constexpr uint32_t journal_chunk_bytes_max = 64U << 10;
// A body chunk above this, and what follows it, goes to a segment for large bodies.
inline constexpr uint32_t journal_small_body_bytes_max = 16U << 10;
inline constexpr uint32_t journal_buffer_bytes_min = 64U << 10;
inline constexpr uint32_t journal_buffer_bytes_max = 64U << 20;
inline constexpr uint32_t queue_segments_max =
    8192;  // the pool's pin table is their square in bits
inline constexpr uint32_t defer_reason_bytes_max = 200;
inline constexpr uint32_t defer_reasons_max = 4096;  // different ones kept in memory, a shard

// Letters to the postmaster that wait to be written, a shard.
inline constexpr uint32_t letters_waiting_max = 128;
// Transcripts of sessions (notify_classes): bytes of one, of a line of it, how many a shard keeps
// at once, and letters about them in an hour, over all shards.
inline constexpr uint32_t transcript_bytes_max = 8U << 10;
inline constexpr uint32_t transcript_line_bytes_max = 600;
inline constexpr uint32_t transcripts_max = 1000;
inline constexpr uint32_t error_notices_an_hour_max = 100;
// The digest of quarantined mail: messages in one, recipients shown of each, and how many messages
// it remembers to have told of.
inline constexpr uint32_t digest_messages_max = 200;
inline constexpr uint32_t digest_recipients_max = 20;
inline constexpr uint32_t digest_remembered_max = 50'000;

// One request on the control socket: some thousand queue ids.
inline constexpr uint32_t control_request_bytes_max = 64U << 10;

static_assert(letters_waiting_max > error_notices_an_hour_max, "these never crowd out a digest");
static_assert(address_bytes_max == 511);
static_assert(2 * address_bytes_max <= table_key_bytes_max, "a local part quoted in full");
static_assert(path_bytes_max <= command_line_bytes_max);
static_assert(table_set_paths_max * (table_path_bytes_max + 1) < table_set_bytes_max);
static_assert(header_name_bytes_max < body_block_bytes);
static_assert(reply_line_bytes_max <= reply_backlog_bytes_max);

}  // namespace mx::limits
