// What the evaluator enters and leaves again: scopes, captured output, recursion.
#pragma once

#include <utility>

#include "data/jinja/evaluator.h"

namespace finetune::jinja {

inline const Value* find_name(const Scope* scope, int symbol) {
  for (; scope != nullptr; scope = scope->parent) {
    for (const auto& [name, value] : scope->names) {
      if (name == symbol) return &value;
    }
  }
  return nullptr;
}

inline bool has_name(const Scope& scope, int symbol) {
  for (const auto& entry : scope.names) {
    if (entry.first == symbol) return true;
  }
  return false;
}

inline void set_name(Scope& scope, int symbol, Value value) {
  for (auto& [name, there] : scope.names) {
    if (name == symbol) {
      there = std::move(value);
      return;
    }
  }
  scope.names.emplace_back(symbol, std::move(value));
}

/// Where a macro is made inside, the scope is kept until the end of the render.
class Evaluator::Inside {
 public:
  Inside(Evaluator& evaluator, bool captured) : Inside(evaluator, captured, evaluator.scope_) {}
  Inside(Evaluator& evaluator, bool captured, Scope* parent) : evaluator_(evaluator), before_(evaluator.scope_) {
    if (captured) evaluator.kept_.push_back(std::make_unique<Scope>());
    evaluator.scope_ = captured ? evaluator.kept_.back().get() : &local_;
    evaluator.scope_->parent = parent;
  }
  ~Inside() { evaluator_.scope_ = before_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Evaluator& evaluator_;
  Scope* before_;
  Scope local_;
};

class Evaluator::Capture {
 public:
  explicit Capture(Evaluator& evaluator) : evaluator_(evaluator), before_(std::exchange(evaluator.out_, &text_)) {}
  ~Capture() { evaluator_.out_ = before_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string take() { return std::move(text_); }

 private:
  Evaluator& evaluator_;
  std::string text_;
  std::string* before_;
};

class Evaluator::Deeper {
 public:
  explicit Deeper(Evaluator& evaluator) : evaluator_(evaluator) {
    if (++evaluator.depth_ > kMost) {
      --evaluator.depth_;
      throw Fault("macros call one another too deep");
    }
  }
  ~Deeper() { --evaluator_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  static constexpr int kMost = 1500;  // a level is below 1 KiB of stack
  Evaluator& evaluator_;
};

}  // namespace finetune::jinja
