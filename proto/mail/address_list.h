// proto/mail/address_list.h - the addresses of an RFC 822 address list, as tables of aliases give
// them: `a@x, "b c"@y, D <d@z> (why)`.
//
// Postfix's forgiving reading: commas or blanks stand between addresses, comments are nothing, of
// `name <address>` the address counts. What comes out is in internal form: without quotes and
// backslashes. No error: every text is some list. One pass; the only allocation is the caller's
// string. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace mx::mail {

class AddressList {
 public:
  // `text` must outlive the object.
  explicit AddressList(std::string_view text) : rest_(text) {}
  // The next address, never empty; false after the last.
  [[nodiscard]] bool next(std::string& address);

 private:
  void skip_comment();
  void take_until(std::string& out, char closing);
  void skip_name();

  std::string_view rest_;
  bool named_ = false;  // it was seen whether a name stands before the next address
};

}  // namespace mx::mail
