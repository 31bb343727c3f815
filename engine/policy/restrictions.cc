#include "engine/policy/restrictions.h"

#include "proto/base/text.h"

namespace mx::policy {

namespace {

using enum Check;

constexpr KnownRestriction table[] = {
    {"permit", permit},
    {"reject", reject},
    {"defer", defer},
    {"defer_if_permit", defer_if_permit},
    {"defer_if_reject", defer_if_reject},
    {"warn_if_reject", warn_if_reject},
    {"sleep", sleep, Argument::seconds},
    {"permit_mynetworks", permit_mynetworks},
    {"permit_inet_interfaces", permit_inet_interfaces},
    {"permit_auth_destination", permit_auth_destination},
    {"permit_sasl_authenticated", permit_sasl_authenticated},
    {"permit_tls_clientcerts", permit_tls_clientcerts},
    {"check_ccert_access", ccert_access, Argument::table},
    {"check_client_access", client_access, Argument::table},
    {"check_reverse_client_hostname_access", reverse_client_access, Argument::table},
    {"check_helo_access", helo_access, Argument::table},
    {"check_sender_access", sender_access, Argument::table},
    {"check_recipient_access", recipient_access, Argument::table},
    {"check_etrn_access", etrn_access, Argument::table},
    {"check_policy_service", policy_service, Argument::service},
    {"reject_invalid_helo_hostname", invalid_helo_hostname},
    {"reject_invalid_hostname", invalid_helo_hostname},
    {"reject_non_fqdn_helo_hostname", non_fqdn_helo_hostname},
    {"reject_non_fqdn_hostname", non_fqdn_helo_hostname},
    {"reject_non_fqdn_sender", non_fqdn_sender},
    {"reject_non_fqdn_recipient", non_fqdn_recipient},
    {"reject_unauth_destination", unauth_destination},
    {"defer_unauth_destination", defer_unauth_destination},
    {"reject_unlisted_recipient", unlisted_recipient},
    {"check_recipient_maps", unlisted_recipient},
    {"reject_unlisted_sender", unlisted_sender},
    {"reject_unauth_pipelining", unauth_pipelining},
    {"reject_multi_recipient_bounce", multi_recipient_bounce},
    {"reject_plaintext_session", plaintext_session},
    {"reject_unknown_sender_domain", unknown_sender_domain},
    {"reject_unknown_recipient_domain", unknown_recipient_domain},
    {"reject_unknown_reverse_client_hostname", unknown_reverse_client_hostname},
    {"reject_unknown_client_hostname", unknown_client_hostname},
    {"reject_unknown_client", unknown_client_hostname},

    {"reject_unknown_helo_hostname", {}},
    {"reject_unknown_hostname", {}},
    {"reject_unknown_forward_client_hostname", {}},
    {"reject_unknown_address", {}},
    {"reject_unverified_recipient", {}},
    {"reject_unverified_sender", {}},
    {"reject_rbl", {}, Argument::other},
    {"reject_rbl_client", {}, Argument::other},
    {"reject_maps_rbl", {}},
    {"reject_rhsbl_client", {}, Argument::other},
    {"reject_rhsbl_reverse_client", {}, Argument::other},
    {"reject_rhsbl_helo", {}, Argument::other},
    {"reject_rhsbl_sender", {}, Argument::other},
    {"reject_rhsbl_recipient", {}, Argument::other},
    {"permit_dnswl_client", {}, Argument::other},
    {"permit_rhswl_client", {}, Argument::other},
    {"permit_mx_backup", {}},
    {"permit_naked_ip_address", {}},
    {"permit_tls_all_clientcerts", {}},
    {"check_relay_domains", {}},
    {"check_client_a_access", {}, Argument::other},
    {"check_client_mx_access", {}, Argument::other},
    {"check_client_ns_access", {}, Argument::other},
    {"check_reverse_client_hostname_a_access", {}, Argument::other},
    {"check_reverse_client_hostname_mx_access", {}, Argument::other},
    {"check_reverse_client_hostname_ns_access", {}, Argument::other},
    {"check_sasl_access", {}, Argument::other},
    {"check_helo_a_access", {}, Argument::other},
    {"check_helo_mx_access", {}, Argument::other},
    {"check_helo_ns_access", {}, Argument::other},
    {"check_sender_a_access", {}, Argument::other},
    {"check_sender_mx_access", {}, Argument::other},
    {"check_sender_ns_access", {}, Argument::other},
    {"check_recipient_a_access", {}, Argument::other},
    {"check_recipient_mx_access", {}, Argument::other},
    {"check_recipient_ns_access", {}, Argument::other},
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
