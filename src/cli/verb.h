// A verb of the program as a value: what parsing, --help, the check for missing keys and main need to know of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace finetune {

struct Arguments;

/// One flag. It stands for configuration keys, or is the verb's own (Arguments::option).
struct Flag {
  enum class Takes {
    nothing,     ///< a switch
    one,         ///< given twice is an error
    many,        ///< may be repeated; each is an entry of a list
    many_commas  ///< likewise, and each may hold several with commas between
  };
  std::string name;   ///< "--model"; without dashes a positional argument
  std::string value;  ///< in --help: "DIR"
  std::string help;
  std::vector<std::string> keys = {};  ///< empty: the verb's own
  Takes takes = Takes::one;
  std::string standard = "";  ///< what it is when it is not given
};

struct Verb {
  std::string name, help, example;
  std::vector<Flag> flags;                   ///< besides --json, --config and --set, which every verb has
  std::vector<std::string> required;         ///< configuration keys without which it cannot begin
  std::function<int(const Arguments&)> run;  ///< gives the exit code; errors are thrown (Error) and printed by main
  std::string notes = "";                    ///< what --help says at its end
  bool configured = true;                    ///< takes --config and --set; false: a run's own configuration is kept
  bool hidden = false;                       ///< for the program itself: no list shows it

  bool takes_key(const std::string& key) const;
  /// "--model DIR": the flag that stands for a key; "" without one.
  std::string flag_of(const std::string& key) const;
};

}  // namespace finetune
