// Reading the parts of an image that come from a file.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "core/error.h"
#include "engine/lane.h"

namespace finetune {

/// A row on the host, as the parts of an image have it.
std::span<const float> floats(const at::Tensor& row_P);

/// A copy of an array, on the host. Throws Error (bad_input) naming one that is missing or has another length.
at::Tensor row_of(const ImageParts& parts, const std::string& name, std::int64_t length);

/// A whole number. Throws Error (bad_input) naming one that is missing or below `least`.
template <typename Whole>
Whole whole_of(const nlohmann::json& values, const char* name, Whole least) {
  const auto found = values.is_object() ? values.find(name) : values.end();
  if (found == values.end() || !found->is_number_integer()) throw bad_input("", std::string(name) + " is missing");
  const auto value = found->get<Whole>();
  if (value < least) throw bad_input("", std::string(name) + " is too small");
  return value;
}

}  // namespace finetune
