#include "python/words.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cli/flags.h"

namespace finetune::python {
namespace {

struct Word {
  std::string flag, here;
  std::string value = "";  // what --help and messages write behind the flag: "FILE"
};

std::vector<Word> words() {
  std::vector<Word> list{{"--overwrite", "overwrite=True"},
                         {"--elsewhere", "elsewhere=True"},
                         {"--max-new-tokens", "max_new_tokens"},
                         {"--stop", "stop"}};
  for (const Flag& flag : training_flags() + out_flags() + std::vector<Flag>{adapter_flag(), profile_flag()}) {
    if (!flag.keys.empty()) list.push_back({flag.name, flag.keys.front(), flag.value});
  }
  return list;
}

constexpr std::string_view kSet = "--set ", kResume = "finetune_tune resume ";

bool begins_word(std::string_view before) {
  return before.empty() || std::string_view(" (`'\"").find(before.back()) != std::string_view::npos;
}

bool goes_on(std::string_view rest) {
  return !rest.empty() && (std::isalnum(static_cast<unsigned char>(rest.front())) != 0 || rest.front() == '-' ||
                           rest.front() == '/' || rest.front() == '_');
}

std::string call_of_resume(std::string_view folder) {
  return "finetune_tune.resume(" +
         nlohmann::json(folder).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + ")";
}

// The flag that `rest` begins with.
const Word* word_at(std::string_view rest, const std::vector<Word>& list) {
  const auto found = std::ranges::find_if(
      list, [&](const Word& word) { return rest.starts_with(word.flag) && !goes_on(rest.substr(word.flag.size())); });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

std::string in_words_of_python(std::string_view text) {
  const std::vector<Word> list = words();
  std::string said;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const bool begins = begins_word(text.substr(0, at));
    if (begins && rest.starts_with(kSet)) {
      at += kSet.size();
      continue;
    }
    if (begins && rest.starts_with(kResume)) {
      const std::string_view folder = rest.substr(kResume.size(), rest.find(')') - kResume.size());
      said += call_of_resume(folder);
      at += kResume.size() + folder.size();
      continue;
    }
    const Word* word = begins ? word_at(rest, list) : nullptr;
    if (word == nullptr) {
      said += text[at++];
      continue;
    }
    at += word->flag.size();
    const std::string value = " " + word->value;
    if (!word->value.empty() && text.substr(at).starts_with(value)) at += value.size();
    if (said.ends_with(" (") && text.substr(at).starts_with(")")) {
      said.resize(said.size() - 2);
      ++at;
    } else {
      said += word->here;
    }
  }
  return said;
}

}  // namespace finetune::python
