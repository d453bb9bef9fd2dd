// Any bytes as a tokenizer.json: an Error, or a tokenizer that encodes and decodes without a crash. The text that it
// encodes is the file itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "data/tokenizers/json_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = finetune::parse_json_tokenizer("fuzz", file);
    const std::string text = file.substr(0, 2000);
    if (!finetune::is_utf8(text)) return 0;
    const auto encoding = tokenizer->encode(text, true);
    if (encoding.ids.size() != encoding.spans.size() || encoding.ids.size() != encoding.added.size()) std::abort();
    for (const auto& [begin, end] : encoding.spans) {
      if (begin > end || end > text.size()) std::abort();
    }
    tokenizer->decode(encoding.ids);
  } catch (const finetune::Error&) {
  }
  return 0;
}
