// engine/config/sections.h - the steps of load(): each reads the parameters of one part of Settings
// and reports what is wrong with them. Their order matters only where Settings says that one uses
// another.
#pragma once

#include "engine/config/evaluator.h"
#include "engine/config/lists.h"
#include "engine/config/settings.h"

namespace mx::config {

void read_identity(Evaluator& values, Settings& settings);  // names, protocols, logs
void read_listen(Evaluator& values, Settings& settings);    // after read_identity
void read_server(Evaluator& values, Settings& settings);    // after read_identity
void read_relay(Evaluator& values, Settings& settings);     // after read_identity
void read_delivery(Evaluator& values, Settings& settings);  // after read_relay
void read_lookup(Evaluator& values, Settings& settings);    // after read_identity
void read_domains(Evaluator& values, ListReader& lists, Settings& settings);
// Of transport_maps what stands in main.cf itself; after read_domains.
void check_written_routes(Evaluator& values, const Settings& settings);
void read_restrictions(Evaluator& values, ListReader& lists, Settings& settings);
void read_codes(Evaluator& values, RejectCodes& codes);
void read_bounces(Evaluator& values, BounceSettings& bounces);
void read_queue(Evaluator& values, Settings& settings);  // after read_server
void read_resources(Evaluator& values, Settings& settings);

}  // namespace mx::config
