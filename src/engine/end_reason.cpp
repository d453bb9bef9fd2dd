#include "engine/end_reason.h"

namespace finetune {

const char* to_text(EndReason reason) {
  switch (reason) {
    case EndReason::steps:
      return "steps";
    case EndReason::tokens:
      return "tokens";
    case EndReason::seconds:
      return "seconds";
    case EndReason::target:
      return "target";
    case EndReason::patience:
      return "patience";
    case EndReason::interrupted:
      return "interrupted";
    case EndReason::exhausted:
      return "exhausted";
  }
  return "";
}

std::optional<EndReason> end_reason_from(const std::string& text) {
  for (const EndReason reason : {EndReason::steps, EndReason::tokens, EndReason::seconds, EndReason::target,
                                 EndReason::patience, EndReason::interrupted, EndReason::exhausted}) {
    if (text == to_text(reason)) return reason;
  }
  return std::nullopt;
}

}  // namespace finetune
