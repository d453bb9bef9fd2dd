// Arguments of a filter, test or method by the names of its parameters.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "data/jinja/evaluator.h"

namespace finetune::jinja {

/// Parameters in order; those from `required` on may be left out. `any`: everything is taken, by position and name.
struct Signature {
  std::vector<std::string> names;
  std::size_t required = 0;
  bool any = false;
};

class Bound {
 public:
  /// Faults for too many, missing, unknown and repeated arguments. `arguments` must outlive it.
  Bound(const std::string& what, const Signature& signature, const Arguments& arguments);

  const Arguments& all() const { return arguments_; }
  const Value* operator[](std::size_t i) const { return values_[i]; }  ///< null: left out
  /// Null where left out or none.
  const Value* given(std::size_t i) const;
  const std::string& text(std::size_t i) const;  ///< faults unless a text
  std::string text(std::size_t i, const std::string& otherwise) const;
  std::int64_t whole(std::size_t i, std::int64_t otherwise) const;  ///< faults unless a whole number
  bool flag(std::size_t i, bool otherwise) const;

 private:
  static constexpr std::size_t kMost = 5;
  const std::string& what_;
  const Arguments& arguments_;
  std::array<const Value*, kMost> values_{};
};

}  // namespace finetune::jinja
