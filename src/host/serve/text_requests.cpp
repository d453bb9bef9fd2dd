#include "host/serve/text_requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "data/prompts.h"
#include "engine/generate_text.h"
#include "engine/open_data.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostNewTokens = 1 << 20, kMostSequences = 1 << 16, kMostTopK = 1 << 30;
constexpr std::int64_t kMostSeed = std::int64_t{1} << 53;

PromptSet prompt_set(const Json& prompt, const std::string& path, const Session& session) {
  const Tokenizer& tokenizer = *session.model.tokenizer;
  const DataOptions options = data_options(session.config, {});
  if (prompt.is_string()) return prompt_of(prompt.get<std::string>(), options, tokenizer, false);
  Fields fields(prompt, path);
  const Json* ids = fields.find("ids");
  const Json* messages = fields.find("messages");
  fields.done();
  if ((ids == nullptr) == (messages == nullptr))
    throw bad_input("",
                    path + " is " + shown(prompt) + "; a text, {\"messages\": [...]} or {\"ids\": [...]} is possible");
  if (messages != nullptr) return prompt_of(prompt, options, tokenizer);
  PromptSet set;
  set.rows.push_back({.ids = token_ids_of(*ids, path + ".ids", session.model.checkpoint.options.vocab_size)});
  return set;
}

// The last token of a text needs no position.
void require_room_behind(std::int64_t tokens, std::int64_t positions, std::int64_t asked, const std::string& where) {
  const std::int64_t most = positions - tokens + 1;
  if (asked <= most) return;
  throw bad_input(where,
                  fmt::format("the prompt has {} tokens, and behind it the model's {} positions have room for {}; "
                              "sample.max_new_tokens is {}",
                              tokens, positions, most, asked));
}

void add_prompts(const Json& list, const std::string& path, const Session& session, bool asks_length,
                 TextRequest& request) {
  const DecoderOptions& model = session.model.checkpoint.options;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string here = path + "[" + std::to_string(i) + "]";
    try {
      PromptSet set = prompt_set(list[i], here, session);
      const auto ends = end_ids_for(session.config.model.path, model.vocab_size, *session.model.tokenizer, set);
      for (const std::int32_t id : ends) {
        if (std::ranges::find(request.end_ids, id) == request.end_ids.end()) request.end_ids.push_back(id);
      }
      const std::int64_t tokens = std::ssize(set.rows.front().ids);
      require_position(tokens, model.max_positions, here);
      if (asks_length) require_room_behind(tokens, model.max_positions, request.sample.max_new_tokens, here);
      request.sample.prompts.push_back(std::move(set.rows.front().ids));
    } catch (const Error& error) {
      const bool named = std::string_view(error.what()).starts_with(path);
      throw named ? error : error.at(here);
    }
  }
}

bool ends_with_id(const std::vector<std::int32_t>& end_ids, std::span<const std::int32_t> ids) {
  return !ids.empty() && std::ranges::find(end_ids, ids.back()) != end_ids.end();
}

}  // namespace

TextRequest text_request(Fields& fields, std::optional<std::int64_t> slot, const Session& session) {
  TextRequest request;
  SampleRequest& sample = request.sample;
  sample.slot = slot;
  const Json& prompts = fields.list("prompts");
  sample.count = fields.whole("n", 1, kMostSequences, 1);
  sample.max_new_tokens = fields.whole("max_new_tokens", 1, kMostNewTokens, sample.max_new_tokens);
  sample.sampling.temperature = fields.number("temperature", {.low = 0, .high = 1000}, 1);
  sample.sampling.top_p = fields.number("top_p", {.low = 0, .high = 1, .open_low = true}, 1);
  sample.sampling.top_k = fields.whole("top_k", 0, kMostTopK, 0);
  if (sample.sampling.temperature > 0 && !fields.has("seed"))
    throw bad_input("", fields.path("seed") + " is missing: texts are drawn by it, unless temperature is 0");
  sample.sampling.seed = static_cast<std::uint64_t>(fields.whole("seed", 0, kMostSeed, 0));
  request.stop = fields.texts("stop");
  fields.done();
  if (static_cast<std::int64_t>(prompts.size()) * sample.count > kMostSequences)
    throw bad_input("", fields.path("prompts") + ": prompts times n are more than " + std::to_string(kMostSequences));
  add_prompts(prompts, fields.path("prompts"), session, fields.has("max_new_tokens"), request);
  sample.ends = [end_ids = request.end_ids, stop = request.stop,
                 &tokenizer = *session.model.tokenizer](std::span<const std::int32_t> ids) {
    if (ends_with_id(end_ids, ids)) return true;
    return !stop.empty() && find_stop(tokenizer.decode(ids), stop) != std::string::npos;
  };
  return request;
}

Json text_json(const TextRequest& request, const std::vector<std::int32_t>& ids, const Session& session) {
  const bool end = ends_with_id(request.end_ids, ids);
  std::string text = session.model.tokenizer->decode(std::span(ids).first(ids.size() - (end ? 1 : 0)));
  const std::size_t stop = find_stop(text, request.stop);
  if (stop != std::string::npos) text.resize(stop);
  return {{"text", text}, {"ids", ids}, {"ended", end || stop != std::string::npos}};
}

}  // namespace finetune
