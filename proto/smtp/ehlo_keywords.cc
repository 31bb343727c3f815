#include "proto/smtp/ehlo_keywords.h"

#include "proto/base/text.h"

namespace mx::smtp {
namespace {

struct Name {
  std::string_view text;
  EhloKeywords keyword;
};
constexpr Name names[] = {
    {"PIPELINING", ehlo_pipelining},
    {"SIZE", ehlo_size},
    {"VRFY", ehlo_vrfy},
    {"ETRN", ehlo_etrn},
    {"STARTTLS", ehlo_starttls},
    {"AUTH", ehlo_auth},
    {"XCLIENT", ehlo_xclient},
    {"XFORWARD", ehlo_xforward},
    {"ENHANCEDSTATUSCODES", ehlo_enhanced_status_codes},
    {"8BITMIME", ehlo_8bitmime},
    {"DSN", ehlo_dsn},
    {"SMTPUTF8", ehlo_smtputf8},
    {"CHUNKING", ehlo_chunking},
    {"VERP", ehlo_verp},
    {"XVERP", ehlo_verp},
    {"REQUIRETLS", ehlo_requiretls},
    {"silent-discard", ehlo_silent},
};

}  // namespace

EhloKeywords parse_ehlo_keywords(std::string_view list, std::string_view& unknown) {
  EhloKeywords keywords = 0;
  unknown = {};
  for (std::string_view word; !(word = take_word(list, ", \t\r\n")).empty();) {
    EhloKeywords keyword = 0;
    for (const Name& name : names)
      if (equals_ignoring_case(word, name.text)) keyword = name.keyword;
    if (keyword == 0 && unknown.empty()) unknown = word;
    keywords |= keyword;
  }
  return keywords;
}

}  // namespace mx::smtp
