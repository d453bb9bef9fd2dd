// Conversations through a chat template with macros, namespaces and dropped thoughts, one thread. Wanted: at least
// 10,000 renderings a second. Finding the turns renders a conversation about three times an answer.
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "data/jinja/template.h"
#include "support/places.h"

namespace finetune {
namespace {

void render(benchmark::State& state) {
  const std::string name = testing::source_dir() + "/tests/golden/chat_templates/thinking.jinja";
  const jinja::Template chat(name, read_file(name));
  auto messages = nlohmann::ordered_json::array();
  for (int turn = 0; turn < state.range(0); ++turn) {
    messages.push_back({{"role", "user"}, {"content", std::string(200, 'q')}});
    messages.push_back({{"role", "assistant"}, {"content", "<think>\nplan\n</think>\n\n" + std::string(400, 'a')}});
  }
  const jinja::Variables variables{{"messages", jinja::from_json(messages)}};
  for (auto _ : state) benchmark::DoNotOptimize(chat.render(variables, std::tm{.tm_mday = 1}));
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(render)->ArgName("turns")->Arg(1)->Arg(3)->Arg(10);

}  // namespace
}  // namespace finetune
