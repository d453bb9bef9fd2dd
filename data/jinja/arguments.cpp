#include "data/jinja/arguments.h"

#include <algorithm>

namespace finetune::jinja {

Bound::Bound(const std::string& what, const Signature& signature, const Arguments& arguments)
    : what_(what), arguments_(arguments) {
  if (signature.any) return;
  if (arguments.positional.size() > signature.names.size())
    throw Fault(what + " takes at most " + std::to_string(signature.names.size()) + " arguments");
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(signature.names.begin(), signature.names.end(), name);
    if (found == signature.names.end()) throw Fault(what + " has no argument " + name);
    const Value*& place = values_[static_cast<std::size_t>(found - signature.names.begin())];
    if (place != nullptr) throw Fault(what + " is given " + name + " twice");
    place = &value;
  }
  for (std::size_t i = 0; i < signature.required; ++i) {
    if (values_[i] == nullptr) throw Fault(what + " wants an argument " + signature.names[i]);
  }
}

const Value* Bound::given(std::size_t i) const {
  return values_[i] == nullptr || values_[i]->is<None>() ? nullptr : values_[i];
}

const std::string& Bound::text(std::size_t i) const {
  if (values_[i] == nullptr || !values_[i]->is_text()) throw Fault(what_ + " wants a text");
  return values_[i]->bytes();
}

std::string Bound::text(std::size_t i, const std::string& otherwise) const {
  return values_[i] == nullptr ? otherwise : text(i);
}

std::int64_t Bound::whole(std::size_t i, std::int64_t otherwise) const {
  std::int64_t number = otherwise;
  if (values_[i] != nullptr && !values_[i]->whole(number)) throw Fault(what_ + " wants a whole number");
  return number;
}

bool Bound::flag(std::size_t i, bool otherwise) const {
  return values_[i] == nullptr ? otherwise : truthy(*values_[i]);
}

}  // namespace finetune::jinja
