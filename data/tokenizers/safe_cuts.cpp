#include "data/tokenizers/safe_cuts.h"

#include <algorithm>

#include "data/tokenizers/aligned_text.h"

namespace finetune {

SafeCuts::Found SafeCuts::tokens_at(std::string_view word, std::size_t position, std::size_t character) const {
  Found found{0, false};
  ByteTrie::Node node = ByteTrie::kRoot;
  for (std::size_t i = position; i < word.size(); ++i) {
    node = tokens_.step(node, static_cast<unsigned char>(word[i]));
    if (node == ByteTrie::kNone) break;
    if (!tokens_.ends_string(node)) continue;
    found.longest = i + 1 - position;
    found.character = found.character || found.longest == character;
  }
  return found;
}

std::vector<std::size_t> SafeCuts::part_ends(std::string_view word) const {
  std::vector<std::size_t> ends;
  std::size_t reach = 0;  // how far the tokens that begin before `at` go
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t character = std::min(utf8_length(word[at]), word.size() - at);
    const Found found = tokens_at(word, at, character);
    if (at > 0 && reach <= at && found.character) ends.push_back(at);
    reach = std::max(reach, at + (found.character ? found.longest : std::max(found.longest, character + 1)));
    at += character;
  }
  ends.push_back(word.size());
  return ends;
}

}  // namespace finetune
