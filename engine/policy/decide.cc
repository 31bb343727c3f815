#include "engine/policy/decide.h"

#include "engine/policy/evaluation.h"
#include "proto/base/assert.h"

namespace mx::policy {

namespace {

// `buffer` outlives the Address. What does not fit stays as it is: no table and no list matches it.
Address internal_form(std::string_view wire, maps::KeyText& buffer) {
  return {maps::unquote_address(buffer, wire) ? buffer.view() : wire, true};
}

bool refused_at(smtp::Stage stage, bool delay_reject, Evaluation& evaluation) {
  switch (stage) {
    case smtp::Stage::connect:
      return !delay_reject && evaluation.client_refused();
    case smtp::Stage::helo:
      return !delay_reject && evaluation.helo_refused();
    case smtp::Stage::mail:
      return !delay_reject && evaluation.sender_refused();
    case smtp::Stage::rcpt:
    case smtp::Stage::vrfy:
      if (delay_reject &&
          (evaluation.client_refused() || evaluation.helo_refused() || evaluation.sender_refused()))
        return true;
      return evaluation.recipient_refused();
    case smtp::Stage::data:
      return evaluation.data_refused();
    case smtp::Stage::end_of_data:
      return evaluation.end_of_data_refused();
    case smtp::Stage::etrn:
      if (delay_reject && (evaluation.client_refused() || evaluation.helo_refused())) return true;
      return evaluation.etrn_refused();
  }
  MX_ASSERT(false);
}

}  // namespace

Decision decide(const Policy& policy, const SessionFacts& session, const smtp::Question& question,
                const smtp::Transaction& transaction, WallTime /*now*/) {
  SessionFacts facts = session;
  maps::KeyText sender_buffer, recipient_buffer;
  Address sender, recipient;
  if (transaction.started()) sender = internal_form(transaction.sender(), sender_buffer);
  switch (question.stage) {
    case smtp::Stage::connect:
      break;
    case smtp::Stage::helo:
      facts.helo = question.argument;
      break;
    case smtp::Stage::mail:
      sender = internal_form(question.argument, sender_buffer);
      break;
    case smtp::Stage::rcpt:
    case smtp::Stage::vrfy:
      recipient = internal_form(question.argument, recipient_buffer);
      break;
    case smtp::Stage::data:
    case smtp::Stage::end_of_data:
      // With several recipients the list applies to all alike and is told none.
      if (transaction.recipient_count() == 1)
        recipient = internal_form(transaction.recipient(0), recipient_buffer);
      break;
    case smtp::Stage::etrn:
      facts.etrn_domain = question.argument;
      break;
  }
  Evaluation evaluation(policy, facts, question.stage, sender, recipient,
                        transaction.recipient_count());
  Decision decision;
  const bool refused = refused_at(question.stage, policy.delay_reject, evaluation);
  if (evaluation.needed()) {
    decision.kind = Decision::Kind::facts_needed;
    decision.needed = evaluation.needed();
    return decision;
  }
  if (refused) decision.verdict = evaluation.verdict();
  // A refused HELO or MAIL does not make the client forget what it was deferred for before.
  if (!policy.delay_reject) decision.deferred = evaluation.deferred();
  decision.effects = std::move(evaluation.effects());
  return decision;
}

}  // namespace mx::policy
