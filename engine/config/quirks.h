// engine/config/quirks.h - warnings for settings that are read as they stand and most likely not
// meant so: what operators' files are known to have wrong, and where Postfix itself would stumble.
// Nothing here changes a value.
#pragma once

#include "engine/config/evaluator.h"
#include "engine/config/load.h"
#include "engine/config/settings.h"

namespace mx::config {

// After all sections. Files are asked only for whether they can be read.
void report_quirks(Evaluator& values, const FileReader& reader, const Settings& settings);

}  // namespace mx::config
