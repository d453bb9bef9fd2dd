// `check` says how much memory a run takes; the run must take that much.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "cli/program.h"

namespace finetune::testing {
namespace {

// The children's peak so far. It only grows, so each case here needs more than the one before.
std::int64_t peak_of_children() {
  rusage usage = {};
  getrusage(RUSAGE_CHILDREN, &usage);
  return usage.ru_maxrss * 1024;
}

// 15 %: the bound users are promised. What is not modelled: fragmentation, and how full the last pass is.
TEST(Memory, PeakIsWithin15PercentOfCheck) {
  const Fixture fixture;
  std::string lines;
  for (int i = 0; i < 64; ++i) lines += R"({"text": ")" + std::string(60, static_cast<char>('a' + i % 26)) + "\"}\n";
  fixture.write("long.jsonl", lines);
  for (const std::string& plan :
       {std::string("--trials 4 --steps 2 --set train.batch_size=16 --set run.lanes=1"),
        std::string("--trials 24 --steps 2 --set train.batch_size=32 --set tune.concurrent=24 --set run.lanes=2 "
                    "--set 'search.train.lora.rank={choices: [128]}' --set run.tokens_per_pass=32768")}) {
    const std::string common = "--model '" + fixture.path("model") + "' --train '" + fixture.path("long.jsonl") +
                               "' --valid '" + fixture.path("long.jsonl") +
                               "' --set tune.scheduler=none --set run.eval_every=1 " + plan;
    const Outcome tuned = run(common + " --overwrite --out '" + fixture.path("out") + "'");
    const auto measured = static_cast<double>(peak_of_children());  // before check trains its round
    ASSERT_EQ(tuned.code, 0) << tuned.text;
    const Outcome check = run("check --json " + common + " 2>/dev/null");
    ASSERT_EQ(check.code, 0) << check.text;
    const auto predicted = nlohmann::json::parse(check.text).at("memory_bytes").get<double>();
    const double ratio = predicted / measured;
    std::printf("predicted %.0f MiB, measured %.0f\n", predicted / 0x1p20, measured / 0x1p20);
    EXPECT_GT(ratio, 0.85) << plan;
    EXPECT_LT(ratio, 1.15) << plan;
  }
}

}  // namespace
}  // namespace finetune::testing
