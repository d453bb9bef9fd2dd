// Commands for people to copy.
#pragma once

#include <string>
#include <string_view>

namespace finetune {

/// A word that a shell reads as this text: in single quotes where it needs them.
std::string shell_word(std::string_view text);

}  // namespace finetune
