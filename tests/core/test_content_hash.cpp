// Fingerprints of content. The values are those of `xxhsum -H2`.
#include <gtest/gtest.h>

#include "core/content_hash.h"
#include "core/error.h"
#include "models/model_files.h"

namespace finetune::testing {
namespace {

TEST(ContentHash, IsXxh3OfTheBytesInWhateverPieces) {
  EXPECT_EQ(content_hash(""), "99aa06d3014798d86001c324468d497f");
  const std::string bytes(3'000'000, 'x');
  ContentHash pieces;
  for (std::size_t i = 0; i < bytes.size(); i += 999'983) pieces.add(std::string_view(bytes).substr(i, 999'983));
  EXPECT_EQ(pieces.text(), content_hash(bytes));
  EXPECT_NE(content_hash(bytes + "x"), content_hash(bytes));
}

TEST(ContentHash, OfAFileIsThatOfItsContent) {
  const TemporaryFolder folder;
  const std::string bytes(2'500'000, 'y');
  write_text(folder.path() / "file", bytes);
  EXPECT_EQ(file_hash(folder.path() / "file"), content_hash(bytes));
  EXPECT_NE(error_of([&] { file_hash(folder.path() / "none"); }), "");
}

}  // namespace
}  // namespace finetune::testing
