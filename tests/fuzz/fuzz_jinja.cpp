// Any bytes as a template, rendered under tight limits with a small conversation: an Error, or valid UTF-8.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "data/jinja/template.h"

namespace {

const finetune::jinja::Variables& conversation() {
  static const finetune::jinja::Variables kVariables = [] {
    const auto row = nlohmann::ordered_json::parse(
        R"({"messages":[{"role":"system","content":" s\n"},{"role":"user","content":[{"type":"text","text":"é<x>"}]},
        {"role":"assistant","content":"<think>t</think>a","tool_calls":[{"function":{"name":"f","arguments":{"n":1.5}}}]}],
        "tools":[{"name":"f","parameters":{"type":"object","properties":{}}}],"n":7,"none":null})");
    finetune::jinja::Variables variables;
    for (const auto& [name, value] : row.items()) variables.emplace_back(name, finetune::jinja::from_json(value));
    return variables;
  }();
  return kVariables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string source(reinterpret_cast<const char*>(data), size);
  if (!finetune::is_utf8(source)) return 0;
  try {
    const finetune::jinja::Template parsed("fuzz", source);
    const auto output = parsed.render(conversation(), std::tm{.tm_mday = 1}, {.work = 200'000, .output = 1 << 20});
    if (!finetune::is_utf8(output.text)) std::abort();
    for (const auto& [begin, end] : output.generated) {
      if (begin > end || end > output.text.size()) std::abort();
    }
  } catch (const finetune::Error&) {
  }
  return 0;
}
