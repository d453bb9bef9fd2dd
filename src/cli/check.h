// What the verb `check` does: reads everything, trains nothing, and says what a run would be.
#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "config/run_config.h"

namespace finetune {

struct CheckOutput {
  std::ostream& text;                           ///< what was found, for people, as it is found
  bool colours = false;                         ///< of loss tokens, for a terminal
  std::size_t columns = 0;                      ///< of the terminal; 0: no limit
  std::function<void(const std::string&)> say;  ///< how far reading is; from any thread
  /// What names flags, in the words of whoever asked; what is read from data is shown as it is.
  std::function<std::string(std::string_view)> words = [](std::string_view line) { return std::string(line); };
  std::function<bool()> stop = {};  ///< asked now and then: true ends it with Interrupted
};

/// `config` as load_config gives it. Returns what `check --json` prints. Throws Error (bad_input), after having listed
/// all bad lines of the data.
nlohmann::ordered_json check(RunConfig config, const CheckOutput& output);

}  // namespace finetune
