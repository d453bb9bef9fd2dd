// Why a study ended.
#pragma once

#include <optional>
#include <string>

namespace finetune {

/// A part of tune.budget, the user, or because every trial had ended and no new one came.
enum class EndReason { steps, tokens, seconds, target, patience, interrupted, exhausted };

const char* to_text(EndReason reason);
/// The inverse; nothing for another text.
std::optional<EndReason> end_reason_from(const std::string& text);

}  // namespace finetune
