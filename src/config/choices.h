// Keys with a few possible values, as enums. A value's name in YAML, --set, --help and messages is a row of its table.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace finetune {

/// What is trained: a LoRA adapter on a frozen base, or all weights.
enum class TrainMethod { lora, full };
/// What an adapter begins as: nothing, or the principal part of the weight.
enum class LoraInit { standard, pissa };
/// What is minimised (models/objective.h).
enum class ObjectiveName { sft, dpo, orpo, kto, simpo };
/// How the learning rate falls after the warm-up (engine/schedule.h).
enum class RateSchedule { linear, cosine, constant, wsd };

/// In how many bits the projections of a frozen base are kept (models/quantization.h).
enum class Quantize { none, nf4, int8 };

template <typename Enum>
struct Choices;  // all: pairs of value and name, in the order of --help

template <>
struct Choices<TrainMethod> {
  static constexpr std::array all{std::pair{TrainMethod::lora, "lora"}, std::pair{TrainMethod::full, "full"}};
};
template <>
struct Choices<LoraInit> {
  static constexpr std::array all{std::pair{LoraInit::standard, "default"}, std::pair{LoraInit::pissa, "pissa"}};
};
template <>
struct Choices<ObjectiveName> {
  static constexpr std::array all{std::pair{ObjectiveName::sft, "sft"}, std::pair{ObjectiveName::dpo, "dpo"},
                                  std::pair{ObjectiveName::orpo, "orpo"}, std::pair{ObjectiveName::kto, "kto"},
                                  std::pair{ObjectiveName::simpo, "simpo"}};
};
template <>
struct Choices<RateSchedule> {
  static constexpr std::array all{std::pair{RateSchedule::linear, "linear"}, std::pair{RateSchedule::cosine, "cosine"},
                                  std::pair{RateSchedule::constant, "constant"}, std::pair{RateSchedule::wsd, "wsd"}};
};
template <>
struct Choices<Quantize> {
  static constexpr std::array all{std::pair{Quantize::none, "none"}, std::pair{Quantize::nf4, "nf4"},
                                  std::pair{Quantize::int8, "int8"}};
};

template <typename Enum>
std::vector<std::string> choice_names() {
  std::vector<std::string> names;
  for (const auto& [value, name] : Choices<Enum>::all) names.emplace_back(name);
  return names;
}

template <typename Enum>
requires requires {
  Choices<Enum>::all;
}
const char* to_text(Enum value) {
  for (const auto& [choice, name] : Choices<Enum>::all) {
    if (choice == value) return name;
  }
  return "";
}

/// Throws Error (bad_input) that names `key` and lists what is allowed.
template <typename Enum>
Enum choice_from(const std::string& key, const std::string& text) {
  for (const auto& [value, name] : Choices<Enum>::all) {
    if (text == name) return value;
  }
  const auto names = choice_names<Enum>();
  throw bad_input("", key + " is " + text + "; allowed: " + join(names, ", ") + did_you_mean(text, names));
}

}  // namespace finetune
