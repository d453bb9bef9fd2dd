// The template of a run's conversations: the checkpoint's own or one from a file, in Jinja, or a declarative format by
// name (data/chat.h). From a conversation to its text and the parts of it that carry loss.
#pragma once

#include <memory>
#include <string>

#include "data/chat.h"
#include "data/conversation.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

class ChatTemplate {
 public:
  virtual ~ChatTemplate() = default;
  /// Throws Error (bad_input) naming template and line, or what of the conversation has no place in it. `by_role`: also
  /// say where each message's text ends (costs a rendering a message).
  virtual Rendered render(const Conversation& conversation, bool by_role) const = 0;
  /// For people: "chatml", or the file with a hash of its text: "chat_template.jinja (0123456789abcdef)".
  virtual std::string name() const = 0;
  virtual bool takes_columns() const { return false; }  ///< it is given all columns of a row
  virtual bool reads_date() const { return false; }     ///< its text depends on the day
};

/// What data.template, data.date and the checkpoint say. `date`: YYYY-MM-DD. Null: none is wanted (data.template: none)
/// or, for `auto`, none is there. Throws Error (bad_input) for an unknown name, an unreadable file, a template that is
/// not understood.
std::unique_ptr<ChatTemplate> open_chat_template(const std::string& choice, const std::string& date,
                                                 const Tokenizer& tokenizer);

}  // namespace finetune
