// Reading tests/golden.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/strict_json.h"
#include "data/example.h"
#include "support/places.h"

namespace finetune::testing {

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(source_dir()) / "tests" / "golden" / name;
}

inline nlohmann::ordered_json read_golden(const std::string& name) {
  return read_json_file(golden_path(name).string());
}

inline std::vector<Example> examples_from(const nlohmann::ordered_json& list) {
  std::vector<Example> examples;
  for (const auto& json : list) {
    Example example;
    example.ids = json.at("ids").get<std::vector<std::int32_t>>();
    example.loss = json.at("loss").get<std::vector<std::uint8_t>>();
    example.ends = json.value("ends", std::vector<std::int64_t>());
    example.answers = json.value("answers", std::vector<std::int64_t>());
    example.desirable = json.value("desirable", true);
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace finetune::testing
