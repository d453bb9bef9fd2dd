#include "host/serve/request.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "host/serve/fields.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

struct Named {
  ServeVerb verb;
  const char* name;
  bool packs = false;
};
constexpr std::array kVerbs{Named{ServeVerb::open, "open"},
                            Named{ServeVerb::close, "close"},
                            Named{ServeVerb::forward_backward, "forward_backward", true},
                            Named{ServeVerb::forward, "forward", true},
                            Named{ServeVerb::optim_step, "optim_step", true},
                            Named{ServeVerb::sample, "sample", true},
                            Named{ServeVerb::save, "save"},
                            Named{ServeVerb::load, "load"},
                            Named{ServeVerb::slots, "slots"},
                            Named{ServeVerb::shutdown, "shutdown"}};

const Named& row_of(ServeVerb verb) {
  return kVerbs[static_cast<std::size_t>(verb)];
}

constexpr const char* kWhere = "the line";

Json parsed(std::string_view line) {
  Json json = parse_strict_json(kWhere, line);
  if (!json.is_object()) throw bad_input("", "a request is an object: {\"slots\": {}}");
  return json;
}

bool is_id(const Json& value) {
  return value.is_string() || value.is_number();
}

// Not checked here: whoever carries the request out says what is wrong with it.
std::optional<std::int64_t> slot_in(const Json& body) {
  const auto slot = body.find("slot");
  if (slot == body.end() || !slot->is_number_integer()) return std::nullopt;
  return slot->get<std::int64_t>();
}

}  // namespace

const char* name_of(ServeVerb verb) {
  return row_of(verb).name;
}

bool packs(ServeVerb verb) {
  return row_of(verb).packs;
}

ServeRequest parse_request(std::string_view line) {
  Json json = parsed(line);
  ServeRequest request;
  std::vector<std::string> names;
  for (const Named& verb : kVerbs) names.emplace_back(verb.name);
  bool has_verb = false;
  for (auto& [key, value] : json.items()) {
    if (key == "id") {
      if (!is_id(value)) throw bad_input("", "id is " + shown(value) + "; a text or a number is possible");
      request.id = value;
      continue;
    }
    const auto verb = std::ranges::find_if(kVerbs, [&name = key](const Named& one) { return name == one.name; });
    if (verb == kVerbs.end())
      throw bad_input("", key + " is no request; possible: " + join(names, ", ") + did_you_mean(key, names));
    if (has_verb)
      throw bad_input("", std::string(name_of(request.verb)) + " and " + key + " are in one line; one is possible");
    if (!value.is_object()) throw bad_input("", key + " is " + shown(value) + "; an object is possible");
    has_verb = true;
    request.verb = verb->verb;
    request.body = std::move(value);
  }
  if (!has_verb) throw bad_input("", "there is no request in the line; possible: " + join(names, ", "));
  request.slot = slot_in(request.body);
  return request;
}

Json id_of(std::string_view line) {
  try {
    const Json json = parsed(line);
    const auto id = json.find("id");
    if (id != json.end() && is_id(*id)) return *id;
  } catch (const Error&) {  // no JSON has no id
  }
  return nullptr;
}

}  // namespace finetune
