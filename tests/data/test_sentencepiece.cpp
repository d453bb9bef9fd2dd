// A sentencepiece model's tokenizer against the library asked for the whole text, for models that allow text to be cut
// and for models that do not.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <random>

#include "data/tokenizers/sentencepiece_cuts.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"

namespace finetune::testing {
namespace {

// `strange`: with characters that models are not trained on.
std::string random_text(std::mt19937& random, bool strange = false) {
  static const std::vector<std::string> kParts{"the",
                                               "cat",
                                               "sat",
                                               "on",
                                               "mats",
                                               "A",
                                               "7",
                                               "42",
                                               ",",
                                               ".",
                                               "\n",
                                               " ",
                                               "  ",
                                               "\xC3\xA9",
                                               "\xE2\x96\x81",
                                               "\xF0\x9F\x98\x80",
                                               "xyzzy",
                                               "ﬁ"};
  std::uniform_int_distribution<std::size_t> any(0, kParts.size() - 1), words(0, 30);
  std::string text;
  for (std::size_t n = words(random); n > 0; --n) {
    text += kParts[any(random)] + (random() % 3 > 0 ? " " : "");
    if (strange && random() % 8 == 0) text += random() % 2 == 0 ? "Q " : "\xE4\xB8\x96";
  }
  return text;
}

class Sentences : public sentencepiece::SentenceIterator {
 public:
  bool done() const override { return next_ == list_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return list_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> list_ = [] {
    std::mt19937 random(1);
    std::vector<std::string> list;
    while (list.size() < 400) list.push_back("the cat " + random_text(random));
    return list;
  }();
  std::size_t next_ = 0;
};

struct Model {
  const char* name;
  const char* options;
  bool cuts;
};

void PrintTo(const Model& model, std::ostream* out) {
  *out << model.name;
}

class SentencePiece : public ::testing::TestWithParam<Model> {};

TEST_P(SentencePiece, EncodesAsTheLibraryEncodesTheWholeText) {
  Sentences sentences;
  std::string model;
  const auto trained = sentencepiece::SentencePieceTrainer::Train(
      std::string("--vocab_size=380 --hard_vocab_limit=false --minloglevel=2 --num_threads=1 ") + GetParam().options,
      &sentences, &model);
  ASSERT_TRUE(trained.ok()) << trained.message();
  EXPECT_EQ(cuts_at_spaces(model), GetParam().cuts);
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.LoadFromSerializedProto(model).ok());
  const auto tokenizer = make_sentencepiece_tokenizer("test", model, {.add_bos = false});
  std::mt19937 random(2);
  for (int i = 0; i < 400; ++i) {
    const std::string text = random_text(random, true);
    const Encoding encoding = tokenizer->encode(text, false);
    const auto expected = library.EncodeAsImmutableProto(text);
    ASSERT_EQ(encoding.ids.size(), expected.pieces_size()) << text;
    for (std::size_t k = 0; k < encoding.ids.size(); ++k) {
      const auto piece = expected.pieces(static_cast<int>(k));
      ASSERT_EQ(encoding.ids[k], static_cast<std::int32_t>(piece.id())) << text;
      ASSERT_EQ(encoding.spans[k], (std::pair{piece.begin(), piece.end()})) << text << ", piece " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, SentencePiece,
    ::testing::Values(
        Model{"bytes", "--model_type=bpe --normalization_rule_name=identity --byte_fallback=true", true},
        Model{"unknown", "--model_type=bpe --normalization_rule_name=identity --character_coverage=0.98", true},
        Model{"spaces_kept", "--model_type=bpe --normalization_rule_name=identity --remove_extra_whitespaces=false",
              true},
        Model{"no_prefix", "--model_type=bpe --normalization_rule_name=identity --add_dummy_prefix=false", false},
        Model{"suffix", "--model_type=bpe --normalization_rule_name=identity --treat_whitespace_as_suffix=true", false},
        Model{"phrases",
              "--model_type=bpe --normalization_rule_name=identity --user_defined_symbols=the\xE2\x96\x81"
              "cat",
              false},
        Model{"nfkc", "--model_type=bpe --normalization_rule_name=nfkc", false},
        Model{"unigram", "--model_type=unigram --normalization_rule_name=identity", false}),
    [](const auto& info) { return info.param.name; });

TEST(SentencePieceCuts, BrokenModelsAllowNone) {
  for (const std::string_view bytes :
       {"", "\x0A", "\x0A\xFF\xFF\xFF\xFF\x0F", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"})
    EXPECT_FALSE(cuts_at_spaces(bytes));
}

TEST(SentencePieceCuts, OnlyBetweenLettersAndDigits) {
  using Begins = std::vector<std::size_t>;
  EXPECT_EQ(part_begins(""), Begins{0});
  EXPECT_EQ(part_begins(" a b"), (Begins{0, 3}));
  EXPECT_EQ(part_begins("a, b  c 1 "), (Begins{0, 8}));
}

}  // namespace
}  // namespace finetune::testing
