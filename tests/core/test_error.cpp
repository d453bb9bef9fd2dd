// The place of an error is a field, given once by whoever knows it most exactly.
#include <gtest/gtest.h>

#include "core/error.h"

namespace finetune::testing {
namespace {

TEST(Error, APlaceIsGivenOnce) {
  const Error plain = bad_input("", "train.steps must be 1");
  EXPECT_STREQ(plain.what(), "train.steps must be 1");
  EXPECT_EQ(plain.where(), "");
  const Error placed = plain.at("c.yaml:3");
  EXPECT_STREQ(placed.what(), "c.yaml:3: train.steps must be 1");
  EXPECT_EQ(placed.where(), "c.yaml:3");
  EXPECT_EQ(placed.message(), "train.steps must be 1");
  EXPECT_STREQ(placed.at("c.yaml").what(), placed.what()) << "the first place is the most exact";
  EXPECT_STREQ(plain.at("").what(), plain.what());
  EXPECT_EQ(failed("", "x").at("y").kind(), ErrorKind::failed);
  EXPECT_STREQ(bad_input("a\nb", "c\td").what(), "a b: c d") << "one line whatever a file holds";
}

}  // namespace
}  // namespace finetune::testing
