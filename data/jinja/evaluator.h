// One rendering of a tree: scopes, calls, output, and the budget that all work is paid from.
#pragma once

#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "data/jinja/ast.h"
#include "data/jinja/template.h"

namespace finetune::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Names of one body, innermost first.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<int, Value>> names;
};

class Evaluator;

/// A macro with the scope it was made in, a function of the environment, or a method with its object.
struct Callable {
  using Function = Value (*)(Evaluator&, const Arguments&);
  const Statement* macro = nullptr;
  Scope* scope = nullptr;
  Function function = nullptr;
  Value self;
  SharedText method;
};

struct Loop {
  std::shared_ptr<const Sequence> items;
  std::size_t at = 0;
  std::vector<Value> changed;  // what loop.changed saw last
};

class Evaluator {
 public:
  Evaluator(const Tree& tree, const std::tm& date, const Limits& limits);
  void define(int symbol, Value value) { globals_[static_cast<std::size_t>(symbol)] = std::move(value); }
  Output run();
  int line() const { return line_; }  ///< of what is being evaluated

  // What filters, tests and methods need.
  void spend(std::int64_t work);
  /// Pays for a text and checks its size.
  Value text(std::string bytes, bool markup = false);
  Value list(std::vector<Value> items, Sequence::Kind kind = Sequence::Kind::list);
  /// What going through a value gives: elements, keys, characters. A generator gives each only once.
  std::shared_ptr<const Sequence> iterate(const Value& value);
  Value call(const Value& callee, const Arguments& arguments);
  Value attribute(const Value& object, const SharedText& name);
  Value item(const Value& object, const Value& key);
  Value slice(const Value& object, const Value& begin, const Value& end, const Value& step);
  Value binary(Operator op, const Value& a, const Value& b);
  bool contains(const Value& container, const Value& value);
  Namespace* make_namespace() { return &namespaces_.emplace_back(); }
  const std::tm& date() const { return date_; }
  const Limits& limits() const { return limits_; }

 private:
  enum class Flow { on, stop, next };
  class Inside;   // a scope of its own for a while
  class Capture;  // output into a text for a while
  class Deeper;   // recursion is bounded

  // statements.cpp
  Flow run_body(const Body& body);
  Flow run_statement(const Statement& statement);
  Flow run_loop(const Statement& loop);
  void run_generation(const Statement& block);
  void assign(const Expr& target, const Value& value);
  std::string captured(const Body& body);
  void write(const Value& value);
  void write(std::string_view text);
  Value macro_value(const Statement& macro);
  Value call_macro(const Callable& callable, const Arguments& arguments);
  void bind(const Statement& made, const Arguments& arguments);

  // expressions.cpp
  Value evaluate(const Expr& expr);
  Value evaluate_call(const Expr& expr, const Value* caller = nullptr);
  Value evaluate_filter(const Expr& expr, const Value* input = nullptr);
  Value evaluate_compare(const Expr& expr);
  Value evaluate_dict(const Expr& expr);
  bool evaluate_test(const Expr& expr);
  Arguments arguments_of(const Expr& call);
  Value look_up(const Expr& name) const;
  Value loop_attribute(Loop& loop, const std::string& name);

  const Tree& tree_;
  const Limits& limits_;
  std::tm date_;
  std::vector<Value> globals_;
  std::vector<std::unique_ptr<Scope>> kept_;  // scopes that macros may outlive
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
  Scope root_;
  Scope* scope_ = &root_;
  std::string* out_ = nullptr;
  Output output_;
  std::int64_t left_;
  int depth_ = 0, line_ = 1;
};

}  // namespace finetune::jinja
