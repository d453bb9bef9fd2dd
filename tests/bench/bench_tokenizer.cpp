// Plain English text through tokenizers of real checkpoints, one thread. Wanted: at least 10 MB/s.
//   bench_tokenizer FOLDER TEXT      a checkpoint's folder with its tokenizer, and a text file
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {
namespace {

// One example a paragraph, as a data set has them; a line at a time is the worst case for what is paid per call.
void encode(benchmark::State& state, const Tokenizer& tokenizer, const std::vector<std::string>& examples) {
  std::int64_t bytes = 0;
  std::size_t tokens = 0;
  for (auto _ : state) {
    for (const auto& example : examples) {
      tokens += tokenizer.encode(example, true).ids.size();
      bytes += static_cast<std::int64_t>(example.size());
    }
  }
  state.SetBytesProcessed(bytes);
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER TEXT [--benchmark_...]\n", argv[0]);
    return 2;
  }
  const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(argv[1]);
  const std::string text = read_file(argv[2]);
  for (const auto& [name, parts] :
       {std::pair("whole text", std::vector{text}), std::pair("by line", split(text, '\n'))}) {
    benchmark::RegisterBenchmark(
        name, [tokenizer, parts = parts](benchmark::State& state) { encode(state, *tokenizer, parts); });
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace finetune

int main(int argc, char** argv) {
  try {
    return finetune::run(argc, argv);
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
