// Byte-pair encoding against the definition written out: the best pair of the whole word, one merge at a time.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "data/tokenizers/bpe.h"
#include "data/tokenizers/byte_trie.h"
#include "data/tokenizers/pair_table.h"
#include "data/tokenizers/safe_cuts.h"
#include "data/tokenizers/word_cache.h"

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
  EXPECT_TRUE(SafeCuts().empty());
  const SafeCuts cuts({"a", "b", "c", " ", "a ", "b c", " cc"});
  using Ends = std::vector<std::size_t>;
  EXPECT_EQ(cuts.part_ends("aba b"), (Ends{1, 2, 4, 5}));
  EXPECT_EQ(cuts.part_ends("ab ca"), (Ends{1, 4, 5})) << "b, the space and c may become one token";
  EXPECT_EQ(cuts.part_ends("a cca"), (Ends{4, 5})) << "'a ' and ' cc' overlap";
  EXPECT_EQ(cuts.part_ends("ab?ab"), (Ends{1, 4, 5})) << "a character without a token keeps both neighbours";
}

bool holds(const ByteTrie& trie, const std::string& string) {
  ByteTrie::Node node = ByteTrie::kRoot;
  for (const char byte : string) {
    node = trie.step(node, static_cast<unsigned char>(byte));
    if (node == ByteTrie::kNone) return false;
  }
  return trie.ends_string(node);
}

TEST(ByteTrie, HoldsWhatASetHolds) {
  EXPECT_TRUE(ByteTrie({""}).empty());
  std::mt19937 random(5);
  std::uniform_int_distribution<int> byte(0, 255), few(0, 3), length(0, 5);
  const auto draw = [&] {
    std::string string;
    for (int n = length(random); n > 0; --n) string += static_cast<char>(n > 1 ? few(random) + 254 : byte(random));
    return string;
  };
  std::set<std::string> expected;
  while (expected.size() < 2000) expected.insert(draw());
  const ByteTrie trie(std::vector<std::string_view>(expected.rbegin(), expected.rend()));
  for (const auto& string : expected) ASSERT_EQ(holds(trie, string), !string.empty());
  for (int i = 0; i < 20000; ++i) {
    const std::string string = draw();
    ASSERT_EQ(holds(trie, string), !string.empty() && expected.contains(string));
  }
}

TEST(WordCache, HoldsWhatWasPutInFirst) {
  WordCache cache;
  std::map<std::string, std::int32_t> expected;
  std::mt19937 random(6);
  std::uniform_int_distribution<std::int32_t> any(0, 30000);
  for (std::int32_t i = 0; i < 20000; ++i) {  // several times as many as there is room for at first
    const std::string word = std::to_string(any(random));
    const std::vector<BpePiece> pieces(word.size() % 3, {i, 1});
    cache.add(word, pieces);
    expected.emplace(word, i);
  }
  EXPECT_EQ(cache.size(), expected.size());
  for (std::int32_t i = 0; i <= 30000; ++i) {
    const std::string word = std::to_string(i);
    const auto found = cache.find(word);
    ASSERT_EQ(found.has_value(), expected.contains(word));
    if (!found) continue;
    ASSERT_EQ(found->size(), word.size() % 3);
    ASSERT_TRUE(found->empty() || found->front().id == expected[word]);
  }
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
