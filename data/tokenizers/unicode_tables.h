// Properties of characters as the tokenizers library 0.23 has them: its normal forms and marks are those of Unicode 9,
// its lower case that of Unicode 17. utf8proc's tables lie between.
#pragma once

#include <cstdint>

namespace finetune {

/// Normal forms leave it as it is: its decomposition or combining class came after Unicode 9 (up to 15, the tables of
/// utf8proc 2.8).
bool is_newer_than_normal_forms(std::uint32_t c);

/// A combining mark (Mn, Mc, Me).
bool is_mark(std::uint32_t c);

/// Simple lower case; U+0130, which becomes two characters, is the caller's.
std::uint32_t to_lower(std::uint32_t c);

}  // namespace finetune
