// Validation rows that also stand in training.
#include <gtest/gtest.h>

#include "data/shared_examples.h"

namespace finetune::testing {
namespace {

std::vector<Example> examples(const std::vector<std::vector<std::int32_t>>& all) {
  std::vector<Example> list;
  for (const auto& ids : all) list.push_back({.ids = ids});
  return list;
}

TEST(SharedExamples, AreCountedInValidation) {
  const auto train = examples({{1, 2}, {3}, {3}, {4, 5}});
  EXPECT_EQ(count_shared(train, examples({{3}, {3}, {1, 2, 3}, {4, 5}})), 3);
  EXPECT_EQ(count_shared(train, examples({{2, 1}})), 0);
  EXPECT_EQ(count_shared(train, {}), 0);
  EXPECT_EQ(count_shared({}, examples({{3}})), 0);
}

TEST(SharedExamples, TheWarningSaysHowMany) {
  EXPECT_EQ(shared_warning(0, 10), "");
  EXPECT_EQ(test_warning(0, 10, "training"), "");
  EXPECT_NE(test_warning(2, 10, "training").find("2 of 10 test examples also occur in training data"),
            std::string::npos);
  EXPECT_NE(shared_warning(1234, 5000).find("1,234 of 5,000"), std::string::npos) << shared_warning(1234, 5000);
}

TEST(SharedExamples, AreSoughtInValidationAndTestData) {
  const auto train = examples({{1}, {2}}), valid = examples({{2}, {3}}), test = examples({{1}, {2}, {3}, {4}});
  const std::vector<std::string> warnings = shared_warnings(train, valid, test);
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_NE(warnings[0].find("1 of 2 validation examples"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[1].find("2 of 4 test examples also occur in training data"), std::string::npos) << warnings[1];
  EXPECT_NE(warnings[2].find("2 of 4 test examples also occur in validation data"), std::string::npos) << warnings[2];
  EXPECT_TRUE(shared_warnings(train, {}, examples({{4}})).empty());
}

}  // namespace
}  // namespace finetune::testing
