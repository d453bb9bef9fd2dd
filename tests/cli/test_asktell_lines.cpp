// How the verb asktell reads lines and when it lets its answers go.
#include <gtest/gtest.h>

#include <sstream>

#include "cli/asktell.h"

namespace finetune::testing {
namespace {

RunConfig config() {
  RunConfig config;
  config.search = {{.name = "x", .low = 0, .high = 1}};
  return config;
}

// What was flushed so far.
class Output : public std::stringbuf {
 public:
  std::string flushed;

 protected:
  int sync() override { return flushed = str(), 0; }
};

// Gives the pieces one by one and notes what had been answered when the next was wanted.
class Input : public std::streambuf {
 public:
  Input(std::vector<std::string> pieces, const Output& output) : pieces_(std::move(pieces)), output_(output) {}
  std::vector<std::string> answered;

 protected:
  int_type underflow() override {
    answered.push_back(output_.flushed);
    if (next_ == pieces_.size()) return traits_type::eof();
    std::string& piece = pieces_[next_++];
    setg(piece.data(), piece.data(), piece.data() + piece.size());
    return traits_type::to_int_type(piece.front());
  }

 private:
  std::vector<std::string> pieces_;
  const Output& output_;
  std::size_t next_ = 0;
};

std::vector<std::string> answered_before_each_piece(const std::vector<std::string>& pieces) {
  Output output;
  Input input(pieces, output);
  std::istream in(&input);
  std::ostream out(&output);
  EXPECT_EQ(run_asktell(config(), in, out), 0);
  input.answered.push_back(output.flushed);
  return input.answered;
}

const std::string kAsk = "{\"best\":1}\n", kNone = "{\"best\":null}\n";

TEST(AskTellLines, EachAnswerIsOutBeforeMoreIsAwaited) {
  EXPECT_EQ(answered_before_each_piece({kAsk, kAsk}),
            (std::vector<std::string>{"", kNone, kNone + kNone, kNone + kNone}));
}

TEST(AskTellLines, APieceMayHoldManyLinesAndEndAnywhere) {
  EXPECT_EQ(answered_before_each_piece({kAsk + kAsk + "{\"be", "st\"", ":1}\n" + kAsk}),
            (std::vector<std::string>{"", kNone + kNone, kNone + kNone, kNone + kNone + kNone + kNone,
                                      kNone + kNone + kNone + kNone}));
}

TEST(AskTellLines, TheLastLineNeedsNoLineBreakAndAnEmptyOneIsAnError) {
  const auto answered = answered_before_each_piece({kAsk + "\n{\"best\":1}"});
  EXPECT_EQ(answered.back().rfind(kNone + "{\"error\":", 0), 0u) << answered.back();
  EXPECT_EQ(answered.back().substr(answered.back().size() - kNone.size()), kNone);
  EXPECT_EQ(answered_before_each_piece({}).back(), "");
}

}  // namespace
}  // namespace finetune::testing
