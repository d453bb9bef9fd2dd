// A template's source as tokens, the white space around tags already removed as Jinja removes it with trim_blocks and
// lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace finetune::jinja {

struct Token {
  enum class Kind {
    data,  ///< text between tags
    block_begin,
    block_end,
    variable_begin,
    variable_end,
    name,
    text,  ///< a string: its value
    integer,
    real,
    op,
    end
  };
  Kind kind = Kind::end;
  std::string text;
  int line = 1;
};

/// Throws LineFault. The last token is of kind end.
std::vector<Token> tokenize(std::string_view source);

/// The source with line ends as \n and without one at the end.
std::string normalized_source(std::string_view source);

}  // namespace finetune::jinja
