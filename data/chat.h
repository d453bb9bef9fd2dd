// Chat templates as declarative formats: how a conversation becomes text, and which parts of it are the assistant's.
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
  bool conversation = false;  ///< the template ends turns itself: no EOS is appended
};

/// Names for data.template.
const std::vector<std::string>& chat_template_names();

/// The format a checkpoint's own Jinja template stands for, or "" for an unknown one.
std::string recognise_chat_template(const std::string& jinja);

/// The assistant's content and the mark that ends its turn carry loss. `bos` and `eos`: the tokenizer's texts, where
/// the format writes them. Throws Error (bad_input, no location) for roles out of order or a role the format has no
/// place for.
Rendered render_chat(const std::string& format, const std::vector<Message>& messages, const std::string& bos,
                     const std::string& eos);

}  // namespace finetune
