// Byte-pair encoding against the definition written out: the best pair of the whole word, one merge at a time.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "data/tokenizers/bpe.h"
#include "data/tokenizers/pair_table.h"
#include "data/tokenizers/safe_cuts.h"

namespace finetune::testing {
namespace {

using Ids = std::vector<std::int32_t>;
using Vocabulary = std::vector<std::pair<std::string, std::int32_t>>;
using Merges = std::vector<std::pair<std::string, std::string>>;

constexpr std::int32_t kUnknown = 0;

// Characters of a small alphabet and tokens drawn by joining two that are there; "▁" is three bytes.
struct Language {
  Vocabulary vocabulary{{"<unk>", kUnknown}};
  Merges merges;

  explicit Language(std::mt19937& random) {
    for (const char* letter : {"a", "b", "c", "d", "e", "\xE2\x96\x81"}) add(letter);
    while (merges.size() < 25) {
      std::uniform_int_distribution<std::size_t> any(1, vocabulary.size() - 1);
      const std::string left = vocabulary[any(random)].first, right = vocabulary[any(random)].first;
      if (left.size() + right.size() > 12 || !add(left + right)) continue;
      merges.emplace_back(left, right);
    }
  }

 private:
  bool add(const std::string& token) {
    for (const auto& [known, id] : vocabulary) {
      if (known == token) return false;
    }
    vocabulary.emplace_back(token, static_cast<std::int32_t>(vocabulary.size()));
    return true;
  }
};

std::vector<std::string> random_characters(std::mt19937& random, std::size_t count) {
  const std::vector<std::string> letters{"a", "b", "c", "d", "e", "\xE2\x96\x81", "\xE2\x96\x81", "?"};
  std::uniform_int_distribution<std::size_t> any(0, letters.size() - 1);
  std::vector<std::string> characters(count);
  for (auto& character : characters) character = letters[any(random)];
  return characters;
}

// "?" is unknown; with `fuse`, a run of them is one token.
Ids by_definition(const Language& language, const std::vector<std::string>& characters, bool fuse) {
  const std::map<std::string, std::int32_t> ids(language.vocabulary.begin(), language.vocabulary.end());
  std::vector<std::string> symbols;
  for (const auto& character : characters) {
    if (fuse && character == "?" && !symbols.empty() && symbols.back() == "?") continue;
    symbols.push_back(character);
  }
  for (bool merged = true; merged;) {
    merged = false;
    for (const auto& [left, right] : language.merges) {
      for (std::size_t i = 0; i + 1 < symbols.size() && !merged; ++i) {
        if (symbols[i] != left || symbols[i + 1] != right) continue;
        symbols[i] += right;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        merged = true;
      }
      if (merged) break;
    }
  }
  Ids out;
  for (const auto& symbol : symbols) out.push_back(symbol == "?" ? kUnknown : ids.at(symbol));
  return out;
}

TEST(Bpe, LongWordsAreEncodedAsTheDefinitionSays) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const Language language(random);
    const bool fuse = round % 2 == 0;
    const Bpe bpe("test", language.vocabulary, language.merges, {.unk_token = "<unk>", .fuse_unk = fuse});
    const auto characters = random_characters(random, 150);
    std::string word;
    for (const auto& character : characters) word += character;
    for (int again = 0; again < 2; ++again) {  // the second time from what is remembered
      std::vector<BpePiece> pieces;
      bpe.encode(word, pieces);
      Ids ids;
      std::size_t bytes = 0;
      for (const auto& piece : pieces) {
        ids.push_back(piece.id);
        bytes += piece.bytes;
      }
      ASSERT_EQ(ids, by_definition(language, characters, fuse)) << word;
      ASSERT_EQ(bytes, word.size());
    }
  }
}

TEST(SafeCuts, NoTokenLiesAcrossACut) {
  SafeCuts cuts;
  EXPECT_TRUE(cuts.empty());
  for (const char* token : {"a", "b", "c", " ", "a ", "b c", " cc"}) cuts.add(token);
  using Ends = std::vector<std::size_t>;
  EXPECT_EQ(cuts.part_ends("aba b"), (Ends{1, 2, 4, 5}));
  EXPECT_EQ(cuts.part_ends("ab ca"), (Ends{1, 4, 5})) << "b, the space and c may become one token";
  EXPECT_EQ(cuts.part_ends("a cca"), (Ends{4, 5})) << "'a ' and ' cc' overlap";
  EXPECT_EQ(cuts.part_ends("ab?ab"), (Ends{1, 4, 5})) << "a character without a token keeps both neighbours";
}

TEST(PairTable, HoldsWhatAMapHolds) {
  std::mt19937 random(3);
  std::uniform_int_distribution<std::int32_t> any(0, 60);
  std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t> expected;
  PairTable table;
  for (std::int32_t value = 0; value < 3000; ++value) {
    const std::int32_t a = any(random), b = any(random);
    table.set(a, b, value);
    expected[{a, b}] = value;
  }
  for (std::int32_t a = 0; a <= 60; ++a) {
    for (std::int32_t b = 0; b <= 60; ++b) {
      const auto found = expected.find({a, b});
      ASSERT_EQ(table.find(a, b), found == expected.end() ? -1 : found->second);
    }
  }
}

}  // namespace
}  // namespace finetune::testing
