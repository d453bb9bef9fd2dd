// Options beside a sampler's or scheduler's name: taken one by one, checked, and none may be left over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/value.h"

namespace finetune {

class OptionReader {
 public:
  /// `prefix`: tune.sampler or tune.scheduler, for messages.
  OptionReader(std::string prefix, Params options) : prefix_(std::move(prefix)), options_(std::move(options)) {}

  /// Each throws Error (bad_input) naming the key and the allowed range.
  std::int64_t whole(const std::string& name, std::int64_t otherwise, std::int64_t low,
                     std::int64_t high = std::int64_t{1} << 40);
  double number(const std::string& name, double otherwise, double low, double high);
  std::optional<double> optional_number(const std::string& name);
  bool flag(const std::string& name, bool otherwise);
  std::string choice(const std::string& name, const std::string& otherwise, const std::vector<std::string>& allowed);
  std::vector<std::string> list(const std::string& name);  ///< comma-separated; empty when absent
  bool given(const std::string& name) const { return find_param(options_, name) != nullptr; }
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const;
  /// Throws for options nobody asked for, naming the nearest known one.
  void finish() const;

 private:
  const Value* take(const std::string& name);
  std::string prefix_;
  Params options_;
  std::vector<std::string> known_;
};

}  // namespace finetune
