// Distributions as text, against the output of Optuna 4.9.0: json strings copied from `distribution_to_json`.
#include <gtest/gtest.h>

#include "tuners/space/distribution_json.h"

namespace finetune::testing {
namespace {

TEST(DistributionJson, IsOptunasToTheByte) {
  const std::vector<std::pair<ParameterSpec, const char*>> table{
      {{.low = 1e-5, .high = 1e-2, .log = true},
       R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}})"},
      {{.low = 0, .high = 1},
       R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}})"},
      {{.low = 0, .high = 1, .step = 0.3},
       R"({"name": "FloatDistribution", "attributes": {"step": 0.3, "low": 0.0, "high": 0.9, "log": false}})"},
      {{.low = 0.1, .high = 0.75, .step = 0.1},
       R"({"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.1, "high": 0.7, "log": false}})"},
      {{.low = 0, .high = 0.95, .step = 0.05},
       R"({"name": "FloatDistribution", "attributes": {"step": 0.05, "low": 0.0, "high": 0.95, "log": false}})"},
      {{.low = 0.5, .high = 2, .step = 0.5},
       R"({"name": "FloatDistribution", "attributes": {"step": 0.5, "low": 0.5, "high": 2.0, "log": false}})"},
      {{.low = 1, .high = 1},
       R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 1.0, "log": false}})"},
      {{.low = -1e22, .high = 1e16},
       R"({"name": "FloatDistribution", "attributes": {"step": null, "low": -1e+22, "high": 1e+16, "log": false}})"},
      {{.low = 1e-4, .high = 123456789.5},
       R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 123456789.5, "log": false}})"},
      {{.low = 1, .high = 12, .integer = true},
       R"({"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 12}})"},
      {{.low = 1, .high = 9, .integer = true, .step = 3},
       R"({"name": "IntDistribution", "attributes": {"log": false, "step": 3, "low": 1, "high": 7}})"},
      {{.low = 1, .high = 10, .integer = true, .step = 2},
       R"({"name": "IntDistribution", "attributes": {"log": false, "step": 2, "low": 1, "high": 9}})"},
      {{.low = 1, .high = 1000, .log = true, .integer = true},
       R"({"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}})"},
      {{.choices = {std::string("a"), std::string("b\"\\\u00e9\n\x7f\U0001F600")}},
       R"({"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b\"\\\u00e9\n\u007f\ud83d\ude00"]}})"},
      {{.choices = {std::int64_t{8}, std::int64_t{16}, 0.1, 1e-5, true, false}},
       R"({"name": "CategoricalDistribution", "attributes": {"choices": [8, 16, 0.1, 1e-05, true, false]}})"},
  };
  for (const auto& [spec, expected] : table) EXPECT_EQ(distribution_json(spec), expected);
}

// Optuna refuses a step with log: the text must be one that it reads.
TEST(DistributionJson, AStepOnALogarithmicScaleIsLeftOut) {
  const ParameterSpec spec{.low = 4, .high = 60, .log = true, .integer = true, .step = 8};
  EXPECT_EQ(distribution_json(spec),
            R"({"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 4, "high": 60}})");
}

TEST(DistributionJson, AChoiceIsKeptAsItsIndex) {
  const ParameterSpec spec{.choices = {std::string("a"), true, std::int64_t{7}}};
  EXPECT_EQ(distribution_value(spec, true), 1);
  EXPECT_EQ(distribution_value(spec, std::int64_t{7}), 2);
  EXPECT_EQ(distribution_value({.low = 0, .high = 9, .integer = true}, std::int64_t{7}), 7);
}

}  // namespace
}  // namespace finetune::testing
