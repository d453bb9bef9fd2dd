// BOS once and EOS at most once around an example, for both kinds of tokenizers and every way to write them.
#include <gtest/gtest.h>
#include <sentencepiece_trainer.h>

#include <functional>

#include "data/example_encoder.h"
#include "data/tokenizers/json_tokenizer.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"

namespace finetune::testing {
namespace {

constexpr std::int32_t kBos = 1, kEos = 2;
using Ids = std::vector<std::int32_t>;

// What the post-processor puts around a text: nothing, BOS, or both.
std::unique_ptr<Tokenizer> of_json(const std::string& around) {
  auto tokenizer = parse_json_tokenizer(
      "tiny", R"({"added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],
    "post_processor":)" +
                  around + R"(,"model":{"type":"BPE","vocab":{"<unk>":0,"<s>":1,"</s>":2,"a":3,"b":4},"merges":[]}})");
  tokenizer->bos_id = kBos;
  tokenizer->eos_id = kEos;
  return tokenizer;
}

std::string around(const std::string& parts) {
  return R"({"type":"TemplateProcessing","single":[)" + parts +
         R"(],"special_tokens":{"<s>":{"ids":[1]},"</s>":{"ids":[2]}}})";
}

class Sentences : public sentencepiece::SentenceIterator {
 public:
  bool done() const override { return next_ == 40; }
  void Next() override { ++next_; }
  const std::string& value() const override { return text_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::string text_ = "the cat </s> sat <s> on a mat";
  int next_ = 0;
};

std::unique_ptr<Tokenizer> of_sentencepiece(const SentencePieceOptions& options) {
  Sentences sentences;
  std::string model;
  const auto trained = sentencepiece::SentencePieceTrainer::Train(
      "--model_type=bpe --vocab_size=60 --hard_vocab_limit=false --byte_fallback=false --minloglevel=2 --num_threads=1",
      &sentences, &model);
  EXPECT_TRUE(trained.ok()) << trained.message();
  return make_sentencepiece_tokenizer("test", model, options);
}

const std::vector<AddedToken> kAdded{{.id = kBos, .content = "<s>", .special = true},
                                     {.id = kEos, .content = "</s>", .special = true}};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Tokenizer>()> make;
  bool bos, eos;  // added by the tokenizer itself
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kKinds{
      {"json, nothing", [] { return of_json("null"); }, false, false},
      {"json, BOS", [] { return of_json(around(R"({"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}})")); }, true,
       false},
      {"json, both",
       [] {
         return of_json(
             around(R"({"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"</s>"}})"));
       },
       true, true},
      {"sentencepiece, letters", [] { return of_sentencepiece({.add_bos = true, .add_eos = false}); }, true, false},
      {"sentencepiece, letters, both", [] { return of_sentencepiece({.add_bos = true, .add_eos = true}); }, true, true},
      {"sentencepiece, letters, nothing", [] { return of_sentencepiece({.add_bos = false, .add_eos = false}); }, false,
       false},
      {"sentencepiece, tokens", [] { return of_sentencepiece({.add_bos = true, .add_eos = true, .added = kAdded}); },
       true, true}};
  return kKinds;
}

TEST(ExampleEncoder, HasBosAndEosOnceWhoeverWroteThem) {
  for (const Kind& kind : kinds()) {
    const auto tokenizer = kind.make();
    const ExampleEncoder encoder(*tokenizer);
    const Ids own = tokenizer->encode("ab a", false).ids;
    for (const std::string bos : {"", "<s>", "<s><s>"}) {
      for (const std::string eos : {"", "</s>", "</s></s></s>"}) {
        Ids expected = own;
        if (kind.bos || !bos.empty()) expected.insert(expected.begin(), kBos);
        if (kind.eos || !eos.empty()) expected.push_back(kEos);
        EXPECT_EQ(encoder.encode(bos + "ab a" + eos).ids, expected) << kind.name << ": " << bos << "ab a" << eos;
      }
    }
  }
}

TEST(ExampleEncoder, ATextOfMarksAloneIsThatMarkOnce) {
  for (const Kind& kind : kinds()) {
    const auto tokenizer = kind.make();
    const ExampleEncoder encoder(*tokenizer);
    EXPECT_EQ(encoder.encode("<s>").ids, (kind.eos ? Ids{kBos, kEos} : Ids{kBos})) << kind.name;
    EXPECT_EQ(encoder.encode("</s>").ids, (kind.bos ? Ids{kBos, kEos} : Ids{kEos})) << kind.name;
    EXPECT_EQ(encoder.encode("<s></s>").ids, (Ids{kBos, kEos})) << kind.name;
  }
}

TEST(ExampleEncoder, MarksOfTheTextKeepTheirSpanAndOthersAreShifted) {
  for (const Kind& kind : kinds()) {
    const Encoding encoding = ExampleEncoder(*kind.make()).encode("<s>a</s>");
    ASSERT_GE(encoding.ids.size(), 3u) << kind.name;
    EXPECT_EQ(encoding.added, std::vector<std::uint8_t>(encoding.ids.size(), 0)) << kind.name;
    EXPECT_EQ(encoding.spans.front(), (std::pair<std::uint32_t, std::uint32_t>{0, 3})) << kind.name;
    EXPECT_EQ(encoding.spans[encoding.ids.size() - 2].second, 4u) << kind.name;
    EXPECT_EQ(encoding.spans.back(), (std::pair<std::uint32_t, std::uint32_t>{4, 8})) << kind.name;
  }
}

TEST(ExampleEncoder, MarksInsideATextStayWhatTheTokenizerMakesOfThem) {
  for (const Kind& kind : kinds()) {
    const auto tokenizer = kind.make();
    const Ids inside = tokenizer->encode("a<s>b</s>a", false).ids;
    Ids expected = inside;
    if (kind.bos) expected.insert(expected.begin(), kBos);
    if (kind.eos) expected.push_back(kEos);
    EXPECT_EQ(ExampleEncoder(*tokenizer).encode("a<s>b</s>a").ids, expected) << kind.name;
  }
}

TEST(ExampleEncoder, KnowsTheMarksOfATokenizerWithoutAConfiguration) {
  auto tokenizer = kinds()[2].make();
  tokenizer->bos_id = tokenizer->eos_id = std::nullopt;
  EXPECT_EQ(ExampleEncoder(*tokenizer).encode("<s>a</s>").ids, (Ids{kBos, 3, kEos}));
  auto without = kinds()[0].make();
  without->bos_id = without->eos_id = std::nullopt;
  EXPECT_EQ(ExampleEncoder(*without).encode("<s><s>a").ids, (Ids{kBos, kBos, 3})) << "no mark, nothing to count";
}

}  // namespace
}  // namespace finetune::testing
