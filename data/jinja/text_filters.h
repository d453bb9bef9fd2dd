// What filters and operators share about texts.
#pragma once

#include <string>
#include <string_view>

namespace finetune::jinja {

/// & < > ' " as HTML writes them (markupsafe).
std::string escaped(std::string_view text);

/// str.replace; `count` < 0: all. An empty `from` stands before every character and at the end.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, long long count);

}  // namespace finetune::jinja
