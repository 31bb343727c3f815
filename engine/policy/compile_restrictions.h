// engine/policy/compile_restrictions.h - the words of smtpd_*_restrictions and of restriction
// classes as elements that can be evaluated. A word that means nothing, a restriction that is not
// served and an argument that is missing are errors with their place.
#pragma once

#include <string>
#include <vector>

#include "engine/policy/inputs.h"
#include "engine/policy/policy.h"

namespace mx::policy {

// Fills the lists, classes, services and access tables of `policy`.
void compile_restrictions(const PolicyInputs& inputs, TableStore& tables, Policy& policy,
                          std::vector<ConfigError>& errors);

}  // namespace mx::policy
