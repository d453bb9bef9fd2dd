#include "data/chat.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

// Where a format puts the system message.
enum class SystemPlace { turn, first_user, last_user, refused, before };

struct Turn {
  const char* before;
  const char* after;  // for the assistant: ends its turn, carries loss
};

struct Format {
  const char* name;
  bool bos;  // the text begins with BOS
  Turn system, user, assistant;
  const char* between;  // after an assistant's turn, without loss
  const char* end;      // after the last message
  SystemPlace system_place;
  const char* default_system;  // where there is none; null: nothing
  bool trims;                  // contents lose outer white space
  bool alternates;             // user and assistant must take turns
};

// {eos} stands for the tokenizer's EOS text.
constexpr std::array kFormats = {Format{"chatml",
                                        false,
                                        {"<|im_start|>system\n", "<|im_end|>\n"},
                                        {"<|im_start|>user\n", "<|im_end|>\n"},
                                        {"<|im_start|>assistant\n", "<|im_end|>"},
                                        "\n",
                                        "",
                                        SystemPlace::turn,
                                        nullptr,
                                        false,
                                        false},
                                 Format{"qwen2.5",
                                        false,
                                        {"<|im_start|>system\n", "<|im_end|>\n"},
                                        {"<|im_start|>user\n", "<|im_end|>\n"},
                                        {"<|im_start|>assistant\n", "<|im_end|>"},
                                        "\n",
                                        "",
                                        SystemPlace::turn,
                                        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
                                        false,
                                        false},
                                 Format{"llama2",
                                        true,
                                        {"<<SYS>>\n", "\n<</SYS>>\n\n"},
                                        {"[INST] ", " [/INST]"},
                                        {" ", " {eos}"},
                                        "",
                                        "",
                                        SystemPlace::first_user,
                                        nullptr,
                                        true,
                                        true},
                                 Format{"llama3",
                                        true,
                                        {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
                                        {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
                                        {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
                                        "",
                                        "",
                                        SystemPlace::turn,
                                        nullptr,
                                        true,
                                        false},
                                 Format{"llama3.1",
                                        true,
                                        {"<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
                                         "December 2023\nToday Date: 26 Jul 2024\n\n",
                                         "<|eot_id|>"},
                                        {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
                                        {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
                                        "",
                                        "",
                                        SystemPlace::turn,
                                        "",
                                        true,
                                        false},
                                 Format{"mistral",
                                        true,
                                        {"", "\n\n"},
                                        {"[INST]", "[/INST]"},
                                        {"", "{eos}"},
                                        "",
                                        "",
                                        SystemPlace::last_user,
                                        nullptr,
                                        false,
                                        true},
                                 Format{"gemma",
                                        true,
                                        {"", ""},
                                        {"<start_of_turn>user\n", "<end_of_turn>\n"},
                                        {"<start_of_turn>model\n", "<end_of_turn>"},
                                        "\n",
                                        "",
                                        SystemPlace::refused,
                                        nullptr,
                                        true,
                                        true},
                                 Format{"phi3",
                                        false,
                                        {"<|system|>\n", "<|end|>\n"},
                                        {"<|user|>\n", "<|end|>\n"},
                                        {"<|assistant|>\n", "<|end|>"},
                                        "\n",
                                        "{eos}",
                                        SystemPlace::turn,
                                        nullptr,
                                        false,
                                        false},
                                 Format{"zephyr",
                                        false,
                                        {"<|system|>\n", "{eos}\n"},
                                        {"<|user|>\n", "{eos}\n"},
                                        {"<|assistant|>\n", "{eos}"},
                                        "\n",
                                        "",
                                        SystemPlace::turn,
                                        nullptr,
                                        false,
                                        false},
                                 Format{"alpaca",
                                        false,
                                        {"", "\n\n"},
                                        {"### Instruction:\n", "\n\n"},
                                        {"### Response:\n", "{eos}"},
                                        "\n\n",
                                        "",
                                        SystemPlace::before,
                                        nullptr,
                                        false,
                                        true},
                                 Format{"plain",
                                        false,
                                        {"", "\n\n"},
                                        {"User: ", "\n"},
                                        {"Assistant:", "{eos}"},
                                        "\n",
                                        "",
                                        SystemPlace::before,
                                        nullptr,
                                        true,
                                        false}};

const Format& find_format(const std::string& name) {
  for (const auto& format : kFormats) {
    if (name == format.name) return format;
  }
  throw bad_input("", "data.template is " + name + "; allowed: auto, none, " + join(chat_template_names(), ", ") +
                          did_you_mean(name, chat_template_names()));
}

void check_roles(const Format& format, const std::vector<Message>& messages) {
  bool any_assistant = false;
  const Message* previous = nullptr;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      throw bad_input("", "role \"" + message.role.substr(0, 40) + "\" is not one of system, user, assistant");
    }
    if (message.role == "system") {
      if (i > 0) throw bad_input("", "a system message stands only at the beginning");
      if (format.system_place == SystemPlace::refused)
        throw bad_input("", std::string("the template ") + format.name + " has no place for a system message");
      continue;
    }
    if (format.alternates) {
      const bool user_next = previous == nullptr || previous->role == "assistant";
      if ((message.role == "user") != user_next)
        throw bad_input("", std::string("the template ") + format.name + " wants user and assistant to take turns");
    }
    any_assistant = any_assistant || message.role == "assistant";
    previous = &message;
  }
  if (!any_assistant) throw bad_input("", "the conversation has no assistant message");
}

// A blank line only separates turns; a single line end belongs to the turn.
bool is_blank_line(const char* between) {
  return std::string_view(between) == "\n\n";
}

std::string filled(const char* text, const std::string& eos) {
  std::string out = text;
  if (const auto at = out.find("{eos}"); at != std::string::npos) out.replace(at, 5, eos);
  return out;
}

}  // namespace

const std::vector<std::string>& chat_template_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const auto& format : kFormats) names.emplace_back(format.name);
    return names;
  }();
  return kNames;
}

Rendered render_chat(const std::string& name, const std::vector<Message>& messages, const std::string& bos,
                     const std::string& eos) {
  const Format& format = find_format(name);
  check_roles(format, messages);
  Rendered out{.conversation = true};
  if (format.bos) out.text = bos;
  const auto content_of = [&](const Message& message) {
    return format.trims ? std::string(trim(message.content)) : message.content;
  };
  std::string system;
  bool has_system = false;
  std::size_t first = 0;
  if (!messages.empty() && messages.front().role == "system") {
    system = content_of(messages.front());
    has_system = true;
    first = 1;
  } else if (format.default_system != nullptr) {
    system = format.default_system;
    has_system = true;
  }
  const std::string system_text =
      has_system ? filled(format.system.before, eos) + system + filled(format.system.after, eos) : "";
  if (format.system_place == SystemPlace::turn || format.system_place == SystemPlace::before) out.text += system_text;
  if (has_system && !out.text.empty()) out.roles.emplace_back("system", out.text.size());
  const auto is_user = [](const Message& message) { return message.role == "user"; };
  const auto last_user = std::find_if(messages.rbegin(), messages.rend(), is_user);
  for (std::size_t i = first; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (is_user(message)) {
      const bool takes_system =
          (format.system_place == SystemPlace::first_user && i == first) ||
          (format.system_place == SystemPlace::last_user && last_user != messages.rend() && &message == &*last_user);
      // Llama 2 writes BOS before every turn of the user.
      if (std::string_view(format.name) == "llama2" && i > first) out.text += bos;
      out.text += filled(format.user.before, eos) + (takes_system ? system_text : "") + content_of(message) +
                  filled(format.user.after, eos);
      out.roles.emplace_back("user", out.text.size());
      continue;
    }
    out.text += format.assistant.before;
    const std::size_t begin = out.text.size();
    out.text += content_of(message) + filled(format.assistant.after, eos);
    if (message.trained) out.trained.emplace_back(begin, out.text.size());
    const bool last = i + 1 == messages.size();
    if (!last || !is_blank_line(format.between)) out.text += format.between;
    out.roles.emplace_back("assistant", out.text.size());
  }
  out.text += filled(format.end, eos);
  return out;
}

}  // namespace finetune
