// Statements: output, scopes, loops, macros.
#include <algorithm>

#include "data/jinja/evaluator.h"
#include "data/jinja/inside.h"
#include "data/jinja/printing.h"

namespace finetune::jinja {

Output Evaluator::run() {
  out_ = &output_.text;
  run_body(tree_.body);
  return std::move(output_);
}

void Evaluator::write(std::string_view text) {
  spend(1 + static_cast<std::int64_t>(text.size() / 16));
  if (out_->size() + text.size() > limits_.output) throw Fault("the text is too long");
  *out_ += text;
}

void Evaluator::write(const Value& value) {
  if (value.is_text()) return write(std::string_view(value.bytes()));
  spend(weight_of(value));
  write(std::string_view(text_of(value)));
}

std::string Evaluator::captured(const Body& body) {
  const Inside inside(*this, body.captured);
  Capture capture(*this);
  run_body(body);
  return capture.take();
}

Evaluator::Flow Evaluator::run_body(const Body& body) {
  const Deeper deeper(*this);
  for (const auto& statement : body.statements) {
    if (const Flow flow = run_statement(statement); flow != Flow::on) return flow;
  }
  return Flow::on;
}

Evaluator::Flow Evaluator::run_statement(const Statement& statement) {
  spend(1);
  line_ = statement.line;
  using Kind = Statement::Kind;
  switch (statement.kind) {
    case Kind::text:
      write(std::string_view(statement.text));
      break;
    case Kind::output:
      write(evaluate(statement.expressions[0]));
      break;
    case Kind::branch:
      for (std::size_t i = 0; i < statement.bodies.size(); ++i) {
        if (i == statement.expressions.size() || truthy(evaluate(statement.expressions[i])))
          return run_body(statement.bodies[i]);
      }
      break;
    case Kind::loop:
      return run_loop(statement);
    case Kind::assign:
      assign(statement.targets[0], evaluate(statement.expressions[0]));
      break;
    case Kind::assign_body: {
      const Value body = text(captured(statement.bodies[0]));
      assign(statement.targets[0], evaluate_filter(statement.expressions[0], &body));
      break;
    }
    case Kind::filter: {
      const Value body = text(captured(statement.bodies[0]));
      write(evaluate_filter(statement.expressions[0], &body));
      break;
    }
    case Kind::macro:
      set_name(*scope_, statement.symbol, macro_value(statement));
      break;
    case Kind::call: {
      const Value caller = macro_value(statement);
      write(evaluate_call(statement.expressions[0], &caller));
      break;
    }
    case Kind::generation:
      run_generation(statement);
      break;
    case Kind::with: {
      std::vector<Value> values;
      for (const auto& expr : statement.expressions) values.push_back(evaluate(expr));
      const Inside inside(*this, statement.bodies[0].captured);
      for (std::size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
      return run_body(statement.bodies[0]);
    }
    case Kind::stop:
      return Flow::stop;
    case Kind::next:
      return Flow::next;
  }
  return Flow::on;
}

void Evaluator::run_generation(const Statement& block) {
  const Inside inside(*this, block.bodies[0].captured);
  const std::size_t begin = out_->size();
  run_body(block.bodies[0]);
  if (out_ == &output_.text)
    output_.generated.emplace_back(begin, out_->size());
  else
    output_.generated_elsewhere = true;
}

Evaluator::Flow Evaluator::run_loop(const Statement& statement) {
  std::shared_ptr<const Sequence> items = iterate(evaluate(statement.expressions[0]));
  const Body& body = statement.bodies[0];
  if (statement.expressions.size() > 1) {
    std::vector<Value> kept;
    for (const auto& one : items->items) {
      const Inside inside(*this, false);
      assign(statement.targets[0], one);
      if (truthy(evaluate(statement.expressions[1]))) kept.push_back(one);
    }
    items = iterate(list(std::move(kept)));
  }
  Loop& loop = loops_.emplace_back(Loop{.items = items});
  bool completed = false;  // a body that ends early does not count, as in Jinja
  for (loop.at = 0; loop.at < items->items.size(); ++loop.at) {
    const Inside inside(*this, body.captured);
    set_name(*scope_, statement.symbol, Value(&loop));
    assign(statement.targets[0], items->items[loop.at]);
    const Flow flow = run_body(body);
    completed = completed || flow == Flow::on;
    if (flow == Flow::stop) break;
  }
  if (!completed && statement.bodies.size() > 1) {
    const Inside inside(*this, statement.bodies[1].captured);
    return run_body(statement.bodies[1]);
  }
  return Flow::on;
}

void Evaluator::assign(const Expr& target, const Value& value) {
  if (target.kind == Expr::Kind::name) return set_name(*scope_, target.symbol, value);
  if (target.kind == Expr::Kind::tuple) {
    const auto items = iterate(value);
    if (items->items.size() != target.children.size())
      throw Fault(std::to_string(target.children.size()) + " names are given " + std::to_string(items->items.size()) +
                  " values");
    for (std::size_t i = 0; i < items->items.size(); ++i) assign(target.children[i], items->items[i]);
    return;
  }
  const Value object = evaluate(target.children[0]);
  if (!object.is<Namespace*>()) throw Fault("an attribute is set on something other than a namespace");
  const std::string& name = target.value.bytes();
  if (name.starts_with('_')) throw Fault("a namespace takes no names that begin with _");
  Namespace& space = **object.as<Namespace*>();
  if (Value* there = space.find(name))
    *there = value;
  else
    space.attributes.emplace_back(name, value);
}

Value Evaluator::macro_value(const Statement& macro) {
  Callable callable;
  callable.macro = &macro;
  callable.scope = scope_;
  return {std::make_shared<const Callable>(std::move(callable))};
}

Value Evaluator::call_macro(const Callable& callable, const Arguments& arguments) {
  const Statement& made = *callable.macro;
  const Inside inside(*this, made.bodies[0].captured, callable.scope);
  bind(made, arguments);
  Capture capture(*this);
  run_body(made.bodies[0]);
  return text(capture.take());
}

// Parameters by position, by name, by default; varargs, kwargs and caller where the body mentions them.
void Evaluator::bind(const Statement& made, const Arguments& arguments) {
  const Macro& macro = made.macro;
  Dict rest;
  Value caller(Undefined{.owner = "No caller defined"});
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(macro.names.begin(), macro.names.end(), name);
    const bool parameter = found != macro.names.end();
    if (parameter && static_cast<std::size_t>(found - macro.names.begin()) >= arguments.positional.size())
      set_name(*scope_, macro.parameters[static_cast<std::size_t>(found - macro.names.begin())], value);
    else if (name == "caller" && macro.caller && !parameter)
      caller = value;
    else if (macro.kwargs)
      rest.set(Value::text(name), value);
    else
      throw Fault("macro " + macro.name + " takes no argument " + name);
  }
  const std::size_t count = macro.parameters.size(), plain = count - macro.defaults.size();
  std::vector<Value> more;
  for (std::size_t i = 0; i < std::max(count, arguments.positional.size()); ++i) {
    if (i >= count)
      more.push_back(arguments.positional[i]);
    else if (i < arguments.positional.size())
      set_name(*scope_, macro.parameters[i], arguments.positional[i]);
    else if (!has_name(*scope_, macro.parameters[i]))
      set_name(*scope_, macro.parameters[i],
               i >= plain ? evaluate(macro.defaults[i - plain])
                          : Value(Undefined{.owner = "a parameter of the macro was not provided"}));
  }
  if (!more.empty() && !macro.varargs)
    throw Fault("macro " + macro.name + " takes not more than " + std::to_string(count) + " arguments");
  const auto define = [&](const char* name, bool wanted, const Value& value) {
    if (!wanted) return;
    const auto at = std::find(tree_.symbols.begin(), tree_.symbols.end(), name) - tree_.symbols.begin();
    if (!has_name(*scope_, static_cast<int>(at))) set_name(*scope_, static_cast<int>(at), value);
  };
  define("varargs", macro.varargs, list(std::move(more), Sequence::Kind::tuple));
  define("kwargs", macro.kwargs, make_dict(std::move(rest)));
  define("caller", macro.caller, caller);
}

}  // namespace finetune::jinja
