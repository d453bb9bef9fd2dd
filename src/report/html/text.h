// Text of a page. Whatever a user, a file or a folder named goes through escape().
#pragma once

#include <string>
#include <string_view>

#include "core/value.h"

namespace finetune::html {

/// As it is to be read between tags or inside quotes.
std::string escape(std::string_view text);

/// A dotted name, escaped, which may be broken behind its dots: train.lora.rank.
std::string dotted_name(std::string_view name);

/// Of a number four figures, as short as they come, and the whole part: 0.00031, 12, 25000, 1.2e+07.
std::string short_number(double value);
std::string short_value(const Value& value);  ///< escaped

/// 0.123 -> "12 %"; below one per cent with a digit more.
std::string percent(double share);

}  // namespace finetune::html
