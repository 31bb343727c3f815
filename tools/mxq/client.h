// tools/mxq/client.h - asks the running ringmx over its control socket.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace mx::mxq {

// Cannot be had now: exit 69.
struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool is_running(const std::string& socket_path);
// Sends a request and hands each line of the answer to `on_line`.
void ask(const std::string& socket_path, const std::string& request,
         const std::function<void(const std::string&)>& on_line);
// A line of an answer; one that tells of an error is thrown.
nlohmann::json parse(const std::string& line);

}  // namespace mx::mxq
