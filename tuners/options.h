// Options beside a sampler's or scheduler's name, as data: what there is, its default, its range and what it means
// stand in one list, which --help shows and by which what was given is read and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/value.h"

namespace finetune {

struct OptionSpec {
  enum class Kind { whole, number, flag, choice, list };
  std::string name;
  Kind kind = Kind::whole;
  std::string help;                       ///< one line
  std::optional<Value> otherwise = {};    ///< the default, where it is one value
  std::string absent = {};                ///< else what holds without the option, in words
  double low = 0, high = kNoLimit;        ///< of whole and number, both included
  std::vector<std::string> allowed = {};  ///< of choice
  static constexpr double kNoLimit = 1e300;
};

OptionSpec whole_option(const std::string& name, const std::string& help, std::optional<std::int64_t> otherwise,
                        std::int64_t low, double high = OptionSpec::kNoLimit);
OptionSpec number_option(const std::string& name, const std::string& help, std::optional<double> otherwise, double low,
                         double high = OptionSpec::kNoLimit);
OptionSpec flag_option(const std::string& name, const std::string& help, std::optional<bool> otherwise);
OptionSpec choice_option(const std::string& name, const std::string& help,
                         std::vector<std::string> allowed);                ///< the first is the default
OptionSpec list_option(const std::string& name, const std::string& help);  ///< a list, or texts with commas between

/// The same with words for a default that is no one value.
OptionSpec without(OptionSpec spec, const std::string& absent);

/// "from 1 to 1000", "true or false", "one of product, shuffled".
std::string range_text(const OptionSpec& spec);
/// "min_steps  from 1; default a tenth of the steps: first rung".
std::string describe(const OptionSpec& spec);

class OptionReader {
 public:
  /// `prefix`: tune.sampler or tune.scheduler, for messages. Throws Error (bad_input) for options that are not in
  /// `specs`, naming the nearest, and for values out of their range, naming it.
  OptionReader(std::string prefix, std::span<const OptionSpec> specs, Params given);

  /// What was given, or the default; `otherwise` where the default depends on more than the option.
  std::int64_t whole(const std::string& name) const;
  std::int64_t whole(const std::string& name, std::int64_t otherwise) const;
  double number(const std::string& name) const;
  std::optional<double> number_if_given(const std::string& name) const;
  bool flag(const std::string& name) const;
  bool flag(const std::string& name, bool otherwise) const;
  std::string choice(const std::string& name) const;
  std::vector<std::string> list(const std::string& name) const;  ///< empty when absent

  /// For what one option's range cannot say.
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const;

 private:
  const Value* value_of(const std::string& name) const;
  std::string prefix_;
  std::span<const OptionSpec> specs_;
  Params given_;
};

}  // namespace finetune
