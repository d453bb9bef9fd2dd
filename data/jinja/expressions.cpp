// Expressions.
#include <algorithm>

#include "data/jinja/filters.h"
#include "data/jinja/inside.h"
#include "data/jinja/methods.h"
#include "data/jinja/printing.h"
#include "data/jinja/tests.h"

namespace finetune::jinja {

Evaluator::Evaluator(const Tree& tree, const std::tm& date, const Limits& limits)
    : tree_(tree), limits_(limits), date_(date), globals_(tree.symbols.size()), left_(limits.work) {
  for (std::size_t i = 0; i < tree.symbols.size(); ++i) {
    if (const auto function = find_function(tree.symbols[i])) {
      Callable callable;
      callable.function = function;
      globals_[i] = Value(std::make_shared<const Callable>(std::move(callable)));
    }
  }
}

void Evaluator::spend(std::int64_t work) {
  left_ -= work;
  if (left_ < 0) throw Fault("the template takes too long");
}

Value Evaluator::text(std::string bytes, bool markup) {
  spend(1 + static_cast<std::int64_t>(bytes.size() / 16));
  if (bytes.size() > limits_.output) throw Fault("a text is too long");
  return Value::text(std::move(bytes), markup);
}

Value Evaluator::list(std::vector<Value> items, Sequence::Kind kind) {
  spend(1 + 2 * static_cast<std::int64_t>(items.size()));
  return make_sequence(kind, std::move(items));
}

Value Evaluator::look_up(const Expr& name) const {
  if (const Value* found = find_name(scope_, name.symbol)) return *found;
  const Value& global = globals_[static_cast<std::size_t>(name.symbol)];
  return global.is_undefined() ? name.value : global;
}

Value Evaluator::evaluate(const Expr& expr) {
  using Kind = Expr::Kind;
  const Deeper deeper(*this);
  spend(1);
  const auto child = [&](std::size_t i) { return evaluate(expr.children[i]); };
  const auto children = [&] {
    std::vector<Value> values;
    for (const auto& one : expr.children) values.push_back(evaluate(one));
    return values;
  };
  switch (expr.kind) {
    case Kind::constant:
      return expr.value;
    case Kind::name:
      return look_up(expr);
    case Kind::list:
      return list(children());
    case Kind::tuple:
      return list(children(), Sequence::Kind::tuple);
    case Kind::dict:
      return evaluate_dict(expr);
    case Kind::attribute: {
      const Value object = child(0);
      line_ = expr.line;
      return attribute(object, expr.value.as<Text>()->bytes);
    }
    case Kind::item: {
      const Value object = child(0), key = child(1);
      return item(object, key);
    }
    case Kind::slice: {
      const std::vector<Value> parts = children();
      return slice(parts[0], parts[1], parts[2], parts[3]);
    }
    case Kind::call:
      return evaluate_call(expr);
    case Kind::spread:
      throw Fault("* stands outside a call");
    case Kind::filter:
      return evaluate_filter(expr);
    case Kind::test:
      return {evaluate_test(expr)};
    case Kind::negative: {
      const Value number = child(0);
      if (const auto* real = number.as<double>()) return {-*real};
      return binary(Operator::sub, Value(std::int64_t{0}), number);
    }
    case Kind::positive:
      return binary(Operator::add, Value(std::int64_t{0}), child(0));
    case Kind::logical_not:
      return {!truthy(child(0))};
    case Kind::logical_and:
    case Kind::logical_or: {
      Value left = child(0);
      return truthy(left) == (expr.kind == Kind::logical_and) ? child(1) : left;
    }
    case Kind::binary: {
      const Value left = child(0), right = child(1);
      line_ = expr.line;
      return binary(expr.op, left, right);
    }
    case Kind::compare:
      return evaluate_compare(expr);
    case Kind::concat: {
      std::string joined;
      for (const auto& value : children()) {
        spend(weight_of(value));
        joined += text_of(value);
      }
      return text(std::move(joined));
    }
    case Kind::conditional:
      if (truthy(child(0))) return child(1);
      if (expr.children.size() > 2) return child(2);
      return {Undefined{.owner = "the inline if evaluated to false and has no else"}};
  }
  throw Fault("an expression of no kind");
}

Value Evaluator::evaluate_dict(const Expr& expr) {
  Dict dict;
  for (std::size_t i = 0; i + 1 < expr.children.size(); i += 2) {
    const Value key = evaluate(expr.children[i]);
    dict.set(key, evaluate(expr.children[i + 1]));
  }
  spend(2 * static_cast<std::int64_t>(dict.entries.size()));
  return make_dict(std::move(dict));
}

Value Evaluator::evaluate_compare(const Expr& expr) {
  Value left = evaluate(expr.children[0]);
  for (std::size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(expr.children[i + 1]);
    line_ = expr.line;
    Value result = binary(expr.operators[i], left, right);
    if (!truthy(result) || i + 1 == expr.operators.size()) return result;
    left = std::move(right);
  }
  return {true};
}

Arguments Evaluator::arguments_of(const Expr& call) {
  Arguments arguments;
  for (std::size_t i = 1; i < call.children.size(); ++i) {
    if (call.children[i].kind != Expr::Kind::spread) {
      arguments.positional.push_back(evaluate(call.children[i]));
      continue;
    }
    const auto more = iterate(evaluate(call.children[i].children[0]));
    spend(static_cast<std::int64_t>(more->items.size()));
    arguments.positional.insert(arguments.positional.end(), more->items.begin(), more->items.end());
  }
  const auto add = [&](const std::string& name, const Value& value) {
    for (const auto& entry : arguments.named) {
      if (entry.first == name) throw Fault("the argument " + name + " is given twice");
    }
    spend(static_cast<std::int64_t>(arguments.named.size()));
    arguments.named.emplace_back(name, value);
  };
  for (const auto& keyword : call.keywords) {
    const Value value = evaluate(keyword.value);
    if (!keyword.name.empty()) {
      add(keyword.name, value);
      continue;
    }
    if (value.dict() == nullptr) throw Fault("** in a call wants a dict");
    for (const auto& [name, one] : value.dict()->entries) {
      if (!name.is_text()) throw Fault("** in a call wants texts as keys");
      add(name.bytes(), one);
    }
  }
  return arguments;
}

Value Evaluator::evaluate_call(const Expr& expr, const Value* caller) {
  const Expr& target = expr.children[0];
  const int line = expr.line;
  if (target.kind == Expr::Kind::attribute) {  // a method, without making it a value first
    const Value object = evaluate(target.children[0]);
    const std::string& name = target.value.bytes();
    line_ = target.line;
    const Method* method = find_method(object, name);
    if (method != nullptr && method->call != nullptr) {
      const Arguments arguments = arguments_of(expr);
      line_ = target.line;
      return method->call(*this, object, name, arguments);
    }
    const Value callee = attribute(object, target.value.as<Text>()->bytes);
    Arguments arguments = arguments_of(expr);
    line_ = target.line;
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    return call(callee, arguments);
  }
  const Value callee = evaluate(target);
  Arguments arguments = arguments_of(expr);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  line_ = line;
  Value result = call(callee, arguments);
  line_ = line;
  return result;
}

Value Evaluator::call(const Value& callee, const Arguments& arguments) {
  if (callee.is_undefined()) throw Fault(callee.as<Undefined>()->message());
  const auto* callable = callee.as<std::shared_ptr<const Callable>>();
  if (callable == nullptr) throw Fault(std::string("a value of type ") + type_name(callee) + " is called");
  const Deeper deeper(*this);
  if ((*callable)->macro != nullptr) return call_macro(**callable, arguments);
  if ((*callable)->function != nullptr) return (*callable)->function(*this, arguments);
  const std::string& name = *(*callable)->method;
  return find_method((*callable)->self, name)->call(*this, (*callable)->self, name, arguments);
}

Value Evaluator::evaluate_filter(const Expr& expr, const Value* input) {
  if (input != nullptr && expr.kind == Expr::Kind::name) return *input;  // the innermost: a body's text
  const Expr& inner = expr.children[0];
  const Value value = input != nullptr ? evaluate_filter(inner, input) : evaluate(inner);
  line_ = expr.line;
  if (expr.filter == nullptr) throw Fault("the filter " + expr.name + " is not interpreted");
  const Arguments arguments = arguments_of(expr);
  line_ = expr.line;
  return expr.filter->apply(*this, value, Bound(expr.name, expr.filter->signature, arguments));
}

bool Evaluator::evaluate_test(const Expr& expr) {
  const Value value = evaluate(expr.children[0]);
  line_ = expr.line;
  if (expr.test == nullptr) throw Fault("the test " + expr.name + " is not interpreted");
  if (expr.children.size() == 1 && expr.keywords.empty()) {
    static const Arguments kNone;
    return expr.test->holds(*this, value, Bound(expr.name, expr.test->signature, kNone));
  }
  const Arguments arguments = arguments_of(expr);
  return expr.test->holds(*this, value, Bound(expr.name, expr.test->signature, arguments));
}

}  // namespace finetune::jinja
