#include "proto/mail/report.h"

#include "proto/base/assert.h"
#include "proto/base/text.h"
#include "proto/mail/notice_text.h"

namespace mx::mail {
namespace {

std::string decode_xtext(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view subject_of(const Report& report) {
  switch (report.kind) {
    case ReportKind::failed:
      return report.to_postmaster ? "Postmaster Copy: Undelivered Mail"
                                  : "Undelivered Mail Returned to Sender";
    case ReportKind::delayed:
      return report.to_postmaster ? "Postmaster Warning: Delayed Mail"
                                  : "Delayed Mail (still being retried)";
    case ReportKind::relayed:
      break;
  }
  return "Successful Mail Delivery Report";
}

std::string_view action_of(ReportKind kind) {
  switch (kind) {
    case ReportKind::failed:
      return "failed";
    case ReportKind::delayed:
      return "delayed";
    case ReportKind::relayed:
      break;
  }
  return "relayed";
}

void write_explanation(std::string& out, const Report& report) {
  add_line(out, "This is the mail system at host " + printable(report.hostname) + ".");
  add_line(out, "");
  if (report.kind == ReportKind::relayed) {
    add_line(out, "Your message was successfully delivered to the destination(s)");
    add_line(out, "listed below. If the message was delivered to mailbox you will");
    add_line(out, "receive no further notifications. Otherwise you may still receive");
    add_line(out, "notifications of mail delivery errors from other systems.");
  } else if (report.kind == ReportKind::delayed) {
    const std::string bar(68, '#');
    add_line(out, bar);
    add_line(out, "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #");
    add_line(out, bar);
    add_line(out, "");
    add_line(out, "Your message could not be delivered for more than " +
                      number_text(static_cast<uint64_t>(report.delay_warning.us / 3'600'000'000)) +
                      " hour(s).");
    add_line(out, "It will be retried until it is " +
                      number_text(static_cast<uint64_t>(report.lifetime.us / 86'400'000'000)) +
                      " day(s) old.");
  } else {
    add_line(out, "I'm sorry to have to inform you that your message could not");
    add_line(out, "be delivered to one or more recipients. It's attached below.");
  }
  if (report.kind != ReportKind::relayed) {
    add_line(out, "");
    add_line(out, "For further assistance, please send mail to postmaster.");
    add_line(out, "");
    add_line(out, "If you do so, please include this problem report. You can");
    add_line(out, "delete your own text from the attached returned message.");
  }
  add_line(out, "");
  add_line(out, "                   The mail system");
}

// A server's reply without our remark on the command that it answered.
std::string_view diagnostic(std::string_view text) {
  return text.ends_with(" command)") ? text.substr(0, text.rfind(" (in reply to ")) : text;
}

// What a person reads of a recipient.
std::string said(const ReportedRecipient& recipient) {
  if (recipient.remote.empty()) return std::string(recipient.text);
  const std::string_view host = recipient.remote.substr(0, recipient.remote.rfind(':'));
  return "host " + std::string(host) + " said: " + std::string(recipient.text);
}

void write_status(std::string& out, const Report& report, bool utf8) {
  const auto field = [&](std::string_view name, std::string_view value) {
    add_folded(out, std::string(name) + ": ", value, "    ");
  };
  // An address is never folded: blanks in a quoted local part count.
  const auto exact = [&](std::string_view name, std::string_view value) {
    add_line(out, std::string(name) + ": " + printable(value));
  };
  const std::string_view type = utf8 ? "utf-8; " : "rfc822; ";
  const std::string own = "X-" + printable(report.mail_name) + "-";
  field("Reporting-MTA", "dns; " + std::string(report.hostname));
  if (!report.envelope_id.empty()) field("Original-Envelope-Id", decode_xtext(report.envelope_id));
  field(own + "Queue-ID", report.original_id);
  if (!report.sender.empty()) exact(own + "Sender", std::string(type) + std::string(report.sender));
  field("Arrival-Date", date_text(report.arrival, report.zone));
  for (const ReportedRecipient& recipient : report.recipients) {
    add_line(out, "");
    exact("Final-Recipient", std::string(type) + std::string(recipient.address));
    if (const size_t at = recipient.original.find(';'); at != std::string_view::npos)
      exact("Original-Recipient", std::string(recipient.original.substr(0, at)) + ";" +
                                      decode_xtext(recipient.original.substr(at + 1)));
    else if (!recipient.action.empty())  // as Postfix, for which the RCPT is an ORCPT then
      exact("Original-Recipient",
            std::string(utf8 ? "utf-8;" : "rfc822;") + std::string(recipient.address));
    field("Action", recipient.action.empty() ? action_of(report.kind) : recipient.action);
    field("Status", number_text(recipient.status_class) + "." + number_text(recipient.subject) +
                        "." + number_text(recipient.detail));
    if (!recipient.remote.empty())
      field("Remote-MTA",
            "dns; " + std::string(recipient.remote.substr(0, recipient.remote.find('['))));
    field("Diagnostic-Code",
          (recipient.remote.empty() ? "X-" + std::string(report.mail_name) : std::string("smtp")) +
              "; " + std::string(diagnostic(recipient.text)));
    if (report.kind == ReportKind::delayed)
      field("Will-Retry-Until", date_text(report.arrival + report.lifetime, report.zone));
  }
}

void begin_part(std::string& out, const std::string& boundary, std::string_view description,
                std::string_view type, bool eight_bit) {
  add_line(out, "--" + boundary);
  add_line(out, "Content-Description: " + std::string(description));
  add_line(out, "Content-Type: " + std::string(type));
  if (eight_bit) add_line(out, "Content-Transfer-Encoding: 8bit");
  add_line(out, "");
}

void write_header(std::string& out, const Report& report, const ReportText& text,
                  const std::string& boundary) {
  const std::string date = date_text(report.now, report.zone);
  const std::string host = printable(report.hostname);
  add_line(out, "Received: by " + host + " (" + printable(report.mail_name) + ")");
  add_line(out, "\tid " + std::string(report.report_id) + "; " + date);
  add_line(out, "Date: " + date);
  add_line(out, "From: MAILER-DAEMON@" + host + " (Mail Delivery System)");
  add_line(out, "Subject: " + std::string(subject_of(report)));
  add_folded(out, "To: ", report.to, "    ");
  add_line(out, "Auto-Submitted: auto-replied");
  add_line(out, "MIME-Version: 1.0");
  add_line(out, "Content-Type: multipart/report; report-type=" +
                    std::string(text.utf8 ? "global-delivery-status" : "delivery-status") + ";");
  add_line(out, "\tboundary=\"" + boundary + "\"");
  if (text.eight_bit) add_line(out, "Content-Transfer-Encoding: 8bit");
  add_line(out, "Message-Id: <" + std::string(report.report_id) + "." +
                    number_text(static_cast<uint64_t>(report.now.us)) + "@" + host + ">");
}

}  // namespace

ReportText write_report(const Report& report) {
  ReportText text;
  text.utf8 = !is_ascii(report.sender) || !is_ascii(report.to);
  text.eight_bit = !is_ascii(report.content);
  for (const ReportedRecipient& recipient : report.recipients) {
    text.utf8 |= !is_ascii(recipient.address) || !is_ascii(recipient.original);
    text.eight_bit |= !is_ascii(recipient.text);
  }
  text.eight_bit |= text.utf8;
  const std::string boundary = std::string(report.report_id) + "." +
                               number_text(static_cast<uint64_t>(report.now.us)) + "/" +
                               printable(report.hostname);
  write_header(text.header, report, text, boundary);

  std::string& out = text.body;
  out.reserve(report.content.size() + 2048 + report.recipients.size() * 1024);
  add_line(out, "");
  add_line(out, "This is a MIME-encapsulated message.");
  add_line(out, "");
  begin_part(out, boundary, "Notification",
             text.eight_bit ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
             text.eight_bit);
  write_explanation(out, report);
  for (const ReportedRecipient& recipient : report.recipients) {
    add_line(out, "");
    add_folded(out, "<" + printable(recipient.address) + ">: ", said(recipient), "    ");
  }
  add_line(out, "");
  begin_part(out, boundary, "Delivery report",
             text.utf8 ? "message/global-delivery-status" : "message/delivery-status",
             text.eight_bit);
  write_status(out, report, text.utf8);
  add_line(out, "");
  const bool undelivered = report.kind != ReportKind::relayed;
  const bool whole = report.content_is_whole;
  begin_part(
      out, boundary,
      std::string(undelivered ? "Undelivered Message" : "Message") + (whole ? "" : " Headers"),
      whole ? (text.utf8 ? "message/global" : "message/rfc822")
            : (text.utf8 ? "message/global-headers" : "text/rfc822-headers"),
      text.eight_bit);
  out += report.content;
  MX_ASSERT(report.content.empty() || report.content.ends_with("\r\n"));
  add_line(out, "");
  add_line(out, "--" + boundary + "--");
  return text;
}

std::string_view header_lines(std::string_view content, size_t limit) {
  size_t end = 0;
  while (true) {
    const size_t line_end = content.find("\r\n", end);
    if (line_end == std::string_view::npos || line_end + 2 > limit) break;
    if (line_end == end) break;  // the empty line
    end = line_end + 2;
  }
  return content.substr(0, end);
}

}  // namespace mx::mail
