#include <gtest/gtest.h>

#include "core/text_table.h"

namespace finetune::testing {
namespace {

const std::vector<TableColumn> kColumns{{"part", true}, {"calls"}, {"of the ceiling"}, {"because", true}};
const std::vector<TableRow> kRows{{"products of the base", "1,234", "50 %", "3.0 times as fast"},
                                  {"waiting", "-", "", ""}};
using Lines = std::vector<std::string>;

TEST(TextTable, ColumnsAreAsWideAsWhatIsInThem) {
  const Lines wide{"  part                  calls  of the ceiling  because",
                   "  products of the base  1,234            50 %  3.0 times as fast", "  waiting                   -"};
  EXPECT_EQ(table_lines(kColumns, kRows), wide);
  EXPECT_EQ(table_lines(kColumns, kRows, 64), wide);
}

TEST(TextTable, WhatIsTooNarrowHasARowsCellsBelowEachOther) {
  const Lines narrow{"  products of the base", "    calls 1,234, of the ceiling 50 %,", "    because 3.0 times as fast",
                     "  waiting"};
  EXPECT_EQ(table_lines(kColumns, kRows, 40), narrow);
  EXPECT_EQ(table_lines(kColumns, kRows, 63).front(), narrow.front());
  EXPECT_EQ(table_lines(kColumns, kRows, 24)[1], "    calls 1,234,");
}

TEST(TextTable, TextsAreCutAtBlanks) {
  EXPECT_EQ(wrapped_lines("  one two three", 0), Lines{"  one two three"});
  EXPECT_EQ(wrapped_lines("  one two three", 15), Lines{"  one two three"});
  EXPECT_EQ(wrapped_lines("  one two three", 14), (Lines{"  one two", "  three"}));
  EXPECT_EQ(wrapped_lines("incomprehensible is", 5), (Lines{"incomprehensible", "is"}));
  EXPECT_EQ(wrapped_lines("", 5), Lines{""});
}

}  // namespace
}  // namespace finetune::testing
