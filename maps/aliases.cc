#include "maps/aliases.h"

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

constexpr size_t quoted_text_max = 200;  // of a line in a diagnostic

// The specials of RFC 822, and what routes (% !) or asks for a command (|).
constexpr std::string_view operators = "|%!()<>@,;:\\\".[]";

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

constexpr bool is_operator(char c) {
  return operators.find(c) != std::string_view::npos;
}

constexpr bool is_control(char c) {
  return (c >= 0 && c < ' ') || c == 0x7F;
}

struct Token {
  enum class Kind : uint8_t { start, operation, atom, quoted, literal, comment, end };
  Kind kind = Kind::start;
  char operation = 0;
  std::string text;  // of the others: what it means; of a comment: as it is written

  bool is(char c) const { return kind == Kind::operation && operation == c; }
  bool is_word() const {
    return kind == Kind::atom || kind == Kind::quoted || kind == Kind::literal ||
           kind == Kind::comment;
  }
};

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : rest_(text) {}
  // Kind::end after the last.
  void next(Token& token);

 private:
  template <typename Ends>
  void collect(std::string& out, Ends ends);
  void collect_comment(std::string& out);

  std::string_view rest_;
};

// Up to the byte that `ends` it, which stays; a backslash is dropped and protects the byte after
// it.
template <typename Ends>
void Tokenizer::collect(std::string& out, Ends ends) {
  while (!rest_.empty()) {
    if (rest_.front() == '\\') {
      rest_.remove_prefix(1);
      if (rest_.empty()) return;
    } else if (ends(rest_.front())) {
      return;
    }
    out += is_blank(rest_.front()) ? ' ' : rest_.front();
    rest_.remove_prefix(1);
  }
}

// Comments nest, and keep their backslashes.
void Tokenizer::collect_comment(std::string& out) {
  size_t depth = 1, size = 0;
  while (size < rest_.size() && depth > 0) {
    const char c = rest_[size++];
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == '\\' && size < rest_.size()) ++size;
  }
  out = '(';
  out += rest_.substr(0, size);
  rest_.remove_prefix(size);
}

void Tokenizer::next(Token& token) {
  token.text.clear();
  while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  if (rest_.empty()) {
    token.kind = Token::Kind::end;
    return;
  }
  const char first = rest_.front();
  if (!is_operator(first) || first == '\\') {
    token.kind = Token::Kind::atom;
    collect(token.text, [](char c) { return is_blank(c) || is_operator(c); });
    for (const char c : token.text)
      if (c == ' ' || is_control(c) || is_operator(c)) token.kind = Token::Kind::quoted;
    return;
  }
  rest_.remove_prefix(1);
  if (first == '(') {
    token.kind = Token::Kind::comment;
    collect_comment(token.text);
    return;
  }
  if (first != '[' && first != '"') {
    token.kind = Token::Kind::operation;
    token.operation = first;
    return;
  }
  token.kind = first == '[' ? Token::Kind::literal : Token::Kind::quoted;
  const char closing = first == '[' ? ']' : '"';
  collect(token.text, [closing](char c) { return c == closing; });
  if (!rest_.empty()) rest_.remove_prefix(1);
}

void append_escaped(std::string& out, std::string_view text, std::string_view escaped) {
  for (const char c : text) {
    if (escaped.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
}

// Puts tokens together again. internal: what they mean; external: what reads as the same.
class Writer {
 public:
  enum class Form : uint8_t { internal, external };
  Writer(std::string& out, Form form) : out_(out), form_(form) { out_.clear(); }
  void append(const Token& token);

 private:
  std::string& out_;
  Form form_;
  bool first_ = true, after_word_ = false, after_comma_ = false;
};

void Writer::append(const Token& token) {
  if ((after_word_ && token.is_word()) || (!first_ && !after_comma_ && token.is('<'))) out_ += ' ';
  first_ = false;
  after_word_ = token.is_word();
  after_comma_ = token.is(',');
  if (token.kind == Token::Kind::operation) {
    out_ += token.operation;
    if (after_comma_) out_ += ' ';
  } else if (token.kind == Token::Kind::literal) {
    out_ += '[';
    append_escaped(out_, token.text, form_ == Form::external ? "\\\r\n" : "");
    out_ += ']';
  } else if (token.kind == Token::Kind::quoted && form_ == Form::external) {
    out_ += '"';
    append_escaped(out_, token.text, "\"\\\r\n");
    out_ += '"';
  } else {
    out_ += token.text;
  }
}

}  // namespace

AliasReader::Item AliasReader::complain(SourceFault fault, std::string text) {
  diagnostic_ = {fault, line_.line, std::move(text)};
  return Item::diagnostic;
}

AliasReader::Item AliasReader::split() {
  Tokenizer tokens(line_.text);
  Token token;
  Writer name(key_, Writer::Form::internal);
  bool any = false, has_comma = false, has_domain = false;
  for (tokens.next(token); token.kind != Token::Kind::end && !token.is(':'); tokens.next(token)) {
    any = true;
    has_comma |= token.is(',');
    has_domain |= token.is('@') || token.is('%');
    name.append(token);
  }
  const bool has_colon = token.is(':');
  if (has_colon) tokens.next(token);
  if (!any || !has_colon || has_comma || token.kind == Token::Kind::end)
    return complain(SourceFault::ignored, "need name:value pair");
  if (has_domain) return complain(SourceFault::ignored, "name must be local");
  Writer value(value_, Writer::Form::external);
  for (; token.kind != Token::Kind::end; tokens.next(token)) value.append(token);

  // postalias stores it and warns that nothing is ever looked up by it.
  if (key_.empty()) return complain(SourceFault::ignored, "empty name -- ignoring this line");
  if (key_.size() > limits::table_key_bytes_max)
    return complain(SourceFault::limit, "name of " + std::to_string(key_.size()) +
                                            " bytes; at most " +
                                            std::to_string(limits::table_key_bytes_max));
  if (value_.size() > limits::table_value_bytes_max)
    return complain(SourceFault::limit, "value of " + std::to_string(value_.size()) +
                                            " bytes; at most " +
                                            std::to_string(limits::table_value_bytes_max));
  for (char& c : key_) c = to_lower(c);
  entry_ = {key_, value_, line_.line};
  return Item::entry;
}

AliasReader::Item AliasReader::next() {
  if (!lines_.next(line_)) return Item::end;
  switch (line_.fault) {
    case LogicalLine::Fault::none:
      return split();
    case LogicalLine::Fault::continuation_without_start:
      return complain(SourceFault::ignored, "logical line must not start with whitespace: \"" +
                                                printable(line_.text, quoted_text_max) + "\"");
    case LogicalLine::Fault::nul_byte:
      return complain(SourceFault::ignored, "NUL byte in the line -- ignoring this line");
    case LogicalLine::Fault::too_long:
      return complain(
          SourceFault::limit,
          "line longer than " + std::to_string(limits::config_line_bytes_max) + " bytes");
  }
  return Item::end;
}

}  // namespace mx::maps
