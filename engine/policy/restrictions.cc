#include "engine/policy/restrictions.h"

#include "proto/base/text.h"

namespace mx::policy {

namespace {

using enum Restriction;

constexpr KnownRestriction table[] = {
    {"permit", permit},
    {"reject", reject},
    {"permit_mynetworks", permit_mynetworks},
    {"permit_sasl_authenticated", permit_sasl_authenticated},
    {"reject_unauth_destination", reject_unauth_destination},
    {"defer_unauth_destination", defer_unauth_destination},
    {"reject_unlisted_recipient", reject_unlisted_recipient},
    {"check_recipient_maps", reject_unlisted_recipient},
    {"reject_non_fqdn_sender", reject_non_fqdn_sender},
    {"reject_non_fqdn_recipient", reject_non_fqdn_recipient},

    {"defer", {}},
    {"defer_if_permit", {}},
    {"defer_if_reject", {}},
    {"warn_if_reject", {}},
    {"sleep", {}, 1},
    {"permit_auth_destination", {}},
    {"permit_inet_interfaces", {}},
    {"permit_mx_backup", {}},
    {"permit_naked_ip_address", {}},
    {"permit_tls_all_clientcerts", {}},
    {"permit_tls_clientcerts", {}},
    {"permit_dnswl_client", {}, 1},
    {"permit_rhswl_client", {}, 1},
    {"check_relay_domains", {}},
    {"check_policy_service", {}, 1},
    {"check_client_access", {}, 1},
    {"check_client_a_access", {}, 1},
    {"check_client_mx_access", {}, 1},
    {"check_client_ns_access", {}, 1},
    {"check_reverse_client_hostname_access", {}, 1},
    {"check_reverse_client_hostname_a_access", {}, 1},
    {"check_reverse_client_hostname_mx_access", {}, 1},
    {"check_reverse_client_hostname_ns_access", {}, 1},
    {"check_ccert_access", {}, 1},
    {"check_sasl_access", {}, 1},
    {"check_helo_access", {}, 1},
    {"check_helo_a_access", {}, 1},
    {"check_helo_mx_access", {}, 1},
    {"check_helo_ns_access", {}, 1},
    {"check_sender_access", {}, 1},
    {"check_sender_a_access", {}, 1},
    {"check_sender_mx_access", {}, 1},
    {"check_sender_ns_access", {}, 1},
    {"check_recipient_access", {}, 1},
    {"check_recipient_a_access", {}, 1},
    {"check_recipient_mx_access", {}, 1},
    {"check_recipient_ns_access", {}, 1},
    {"check_etrn_access", {}, 1},
    {"reject_rbl", {}, 1},
    {"reject_rbl_client", {}, 1},
    {"reject_maps_rbl", {}},
    {"reject_rhsbl_client", {}, 1},
    {"reject_rhsbl_reverse_client", {}, 1},
    {"reject_rhsbl_helo", {}, 1},
    {"reject_rhsbl_sender", {}, 1},
    {"reject_rhsbl_recipient", {}, 1},
    {"reject_invalid_helo_hostname", {}},
    {"reject_invalid_hostname", {}},
    {"reject_non_fqdn_helo_hostname", {}},
    {"reject_non_fqdn_hostname", {}},
    {"reject_unknown_helo_hostname", {}},
    {"reject_unknown_hostname", {}},
    {"reject_unknown_client_hostname", {}},
    {"reject_unknown_client", {}},
    {"reject_unknown_reverse_client_hostname", {}},
    {"reject_unknown_forward_client_hostname", {}},
    {"reject_unknown_address", {}},
    {"reject_unknown_sender_domain", {}},
    {"reject_unknown_recipient_domain", {}},
    {"reject_unauth_pipelining", {}},
    {"reject_unlisted_sender", {}},
    {"reject_unverified_recipient", {}},
    {"reject_unverified_sender", {}},
    {"reject_multi_recipient_bounce", {}},
    {"reject_plaintext_session", {}},
    {"reject_sender_login_mismatch", {}},
    {"reject_known_sender_login_mismatch", {}},
    {"reject_authenticated_sender_login_mismatch", {}},
    {"reject_unauthenticated_sender_login_mismatch", {}},
};

}  // namespace

const KnownRestriction* find_restriction(std::string_view name) {
  for (const KnownRestriction& known : table)
    if (equals_ignoring_case(known.name, name)) return &known;
  return nullptr;
}

std::string_view near_restriction(std::string_view name) {
  constexpr size_t near = 2;
  const std::string folded = lower(name);
  std::string_view best;
  size_t best_distance = near + 1;
  for (const KnownRestriction& known : table) {
    const size_t distance = edit_distance(folded, known.name, near);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = known.name;
  }
  return best;
}

}  // namespace mx::policy
