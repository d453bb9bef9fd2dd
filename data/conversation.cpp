#include "data/conversation.h"

#include "core/error.h"
#include "data/fields.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

Error wrong_message(std::size_t i, const std::string& what) {
  return bad_input("", "message " + std::to_string(i + 1) + " " + what);
}

bool is_trained(const Json& message, const std::string& role, std::size_t i) {
  const auto wrong = [&](const std::string& mark, const std::string& why) {
    return wrong_message(i, "has " + mark + ": " + message[mark].dump().substr(0, 40) + "; " + why);
  };
  bool trained = true;
  for (const char* mark : {"weight", "loss_weight"}) {
    if (!message.contains(mark) || message[mark].is_null()) continue;
    const Json& value = message[mark];
    const double weight = value.is_number() ? value.get<double>() : -1;
    if (weight != 0 && weight != 1) throw wrong(mark, "only 0 (not trained) and 1 are possible");
    trained = trained && weight == 1;
  }
  if (message.contains("train") && !message["train"].is_null()) {
    if (!message["train"].is_boolean()) throw wrong("train", "it must be true or false");
    const bool wanted = message["train"].get<bool>();
    if (wanted && standard_role(role) != "assistant") throw wrong("train", "only turns of the assistant are trained");
    trained = trained && wanted;
  }
  return trained;
}

// ShareGPT's keys and roles under their usual names; other keys stay.
Json usual_message(const Json& item, std::size_t i) {
  Json message = Json::object();
  for (const auto& [key, value] : item.items()) {
    if (key == "from")
      message["role"] = value;
    else if (key == "value")
      message["content"] = value;
    else
      message[key] = value;
  }
  if (!message.contains("role") || !message["role"].is_string() || !message.contains("content"))
    throw wrong_message(i, "has no from or no value");
  std::string role = standard_role(message["role"].get<std::string>());
  if (role == "observation" || role == "function_response") role = "tool";
  if (role == "function_call")
    throw wrong_message(i,
                        "is a function_call, which format sharegpt does not read; use format messages with tool_calls");
  message["role"] = role;
  return message;
}

}  // namespace

Conversation conversation_of(const Json& record, const std::string& format, const DataOptions& options) {
  const bool sharegpt = format == "sharegpt";
  const std::string list_name = sharegpt ? "conversations" : "messages", column = column_of(options, list_name);
  const Json& list = field(record, options, list_name);
  if (!list.is_array() || list.empty()) throw bad_input("", "field " + column + " is not a list of messages");
  Conversation made{.messages = Json::array(), .columns = Json::object()};
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_object()) throw wrong_message(i, "is not an object");
    const Json message = sharegpt ? usual_message(list[i], i) : list[i];
    if (!message.contains("role") || !message["role"].is_string()) throw wrong_message(i, "has no role");
    const std::string role = message["role"].get<std::string>();
    if (standard_role(role) != role)
      throw wrong_message(i, "has role " + role + ", which templates do not know; call it " + standard_role(role));
    made.trained.push_back(is_trained(message, role, i));
    made.messages.push_back(message);
  }
  const std::string system = optional_text(record, options, "system");
  if (!system.empty() && made.messages.front()["role"] != "system") {
    made.messages.insert(made.messages.begin(), Json{{"role", "system"}, {"content", system}});
    made.trained.insert(made.trained.begin(), true);
  }
  for (const auto& [name, value] : record.items()) {
    if (name != column) made.columns[name] = value;
  }
  return made;
}

Conversation conversation_of(const std::vector<Message>& messages) {
  Conversation made{.messages = Json::array(), .columns = Json::object()};
  for (const auto& message : messages) {
    made.messages.push_back({{"role", message.role}, {"content", message.content}});
    made.trained.push_back(message.trained);
  }
  return made;
}

std::string standard_role(const std::string& role) {
  if (role == "human") return "user";
  return role == "gpt" || role == "model" || role == "bot" ? "assistant" : role;
}

}  // namespace finetune
