#include "data/jinja/template.h"

#include <algorithm>

#include "core/error.h"
#include "data/jinja/evaluator.h"

namespace finetune::jinja {
namespace {

Error error_at(const std::string& name, int line, std::string what) {
  for (char& c : what) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return bad_input(name + ":" + std::to_string(line), what);
}

}  // namespace

Template::Template(std::string name, std::string_view source) : name_(std::move(name)) {
  try {
    tree_ = std::make_unique<const Tree>(parse(source));
  } catch (const LineFault& fault) {
    throw error_at(name_, fault.line, fault.what());
  }
  for (std::size_t i = 0; i < tree_->symbols.size(); ++i) symbols_.emplace(tree_->symbols[i], static_cast<int>(i));
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;

bool Template::has_generation() const {
  return tree_->generation;
}

Output Template::render(const Variables& variables, const std::tm& date, const Limits& limits) const {
  Evaluator evaluator(*tree_, date, limits);
  for (const auto& [name, value] : variables) {
    if (const auto found = symbols_.find(name); found != symbols_.end()) evaluator.define(found->second, value);
  }
  try {
    return evaluator.run();
  } catch (const Fault& fault) {
    throw error_at(name_, evaluator.line(), fault.what());
  }
}

}  // namespace finetune::jinja
