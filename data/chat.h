// Chat formats by name, for base checkpoints that have no template of their own: how a conversation becomes text, and
// which parts of it are the assistant's.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace finetune {

struct Message {
  std::string role, content;
  bool trained = true;  ///< assistant turns only; false: no loss on this one
};

/// A rendered example: text, and the byte ranges that carry loss.
struct Rendered {
  std::string text;
  std::vector<std::pair<std::size_t, std::size_t>> trained;
  bool conversation = false;  ///< a template ends turns itself: no EOS is appended
  bool complete = false;      ///< special tokens are written out too: the tokenizer adds none
  bool whole_tokens = false;  ///< a token that begins before a trained part belongs to what stands there
  std::vector<std::pair<std::string, std::size_t>> roles;  ///< by message: its role, and where its text ends
};

/// Names for data.template.
const std::vector<std::string>& chat_template_names();

/// The assistant's content and the mark that ends its turn carry loss. `bos` and `eos`: the tokenizer's texts, where
/// the format writes them. Throws Error (bad_input, no location) for roles out of order or a role the format has no
/// place for.
Rendered render_chat(const std::string& format, const std::vector<Message>& messages, const std::string& bos,
                     const std::string& eos);

}  // namespace finetune
