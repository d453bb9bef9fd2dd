#include "host/generate.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/answer.h"
#include "data/data_files.h"
#include "data/dataset_notes.h"
#include "engine/open_data.h"
#include "engine/open_model.h"
#include "engine/room.h"
#include "engine/session.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

DataOptions prompt_options(const RunConfig& config) {
  return data_options(config, {.trains = false, .holds_out = false});
}

PromptSet open_prompts(const RunConfig& config, const GenerateOptions& options, const Tokenizer& tokenizer,
                       std::vector<std::string>& notes) {
  if (options.prompt) return prompt_of(*options.prompt, prompt_options(config), tokenizer, options.chat);
  return load_prompts(data_files(paths_of(config.data.valid), Split::valid, "--data", notes), prompt_options(config),
                      tokenizer, options.chat);
}

void say_what_is_assumed(const PromptSet& prompts, const DataOptions& options, const std::vector<std::int32_t>& end_ids,
                         const GenerateHooks& hooks) {
  if (!prompts.chat_template.empty()) hooks.say(chat_template_note(prompts.chat_template, options));
  if (end_ids.empty()) hooks.say("the checkpoint names no end token: texts end at --max-new-tokens, or at --stop");
}

void say_cut_off(const std::vector<std::optional<Completion>>& completions, std::int64_t positions,
                 const GenerateHooks& hooks) {
  const auto is_cut = [](const std::optional<Completion>& c) { return c && c->at_last_position && !c->ended; };
  const auto cut = std::ranges::count_if(completions, is_cut);
  if (cut == 0) return;
  hooks.say((completions.size() == 1 ? "the text ends" : std::to_string(cut) + " texts end") + " at the model's " +
            std::to_string(positions) + " positions");
}

void go_on(const GenerateHooks& hooks) {
  if (hooks.stop && hooks.stop()) throw Interrupted();
}

}  // namespace

std::string place_of_prompt(const PromptSet& prompts, std::size_t row) {
  return prompts.files.empty() ? "--prompt" : place_of(prompts, row);
}

Generated generate(RunConfig given, const GenerateOptions& options, const GenerateHooks& hooks) {
  given.data.train.clear();  // of the run whose configuration this is
  check_paths(given, false, false);
  TextOptions text;
  text.max_new_tokens = options.max_new_tokens;
  text.stop = options.stop;
  text.grows = options.grows;
  Session session{.config = std::move(given)};
  const RunConfig& config = session.config;
  std::vector<std::string>& notes = session.notes;
  OpenedModel& model = session.model;
  model = open_model(session.config, notes);
  Generated result{.prompts = open_prompts(config, options, *model.tokenizer, notes)};
  const PromptSet& prompts = result.prompts;
  if (prompts.rows.empty()) throw bad_input(prompts.files.front(), "there is no row");
  text.end_ids = end_ids_for(config.model.path, model.checkpoint.options.vocab_size, *model.tokenizer, prompts);
  require_room(session, 0);
  go_on(hooks);
  read_weights(model, config.model);
  copy_to_devices(model);
  go_on(hooks);
  for (const auto& note : notes) hooks.say(note);
  say_what_is_assumed(prompts, prompt_options(config), text.end_ids, hooks);
  result.completions.resize(prompts.rows.size());
  const auto on_text = [&](std::size_t row, const Completion& known, bool done) {
    if (done) result.completions[row] = known;
    hooks.on_row(prompts, row, known, done);
  };
  const auto where = [&](std::size_t row) { return place_of_prompt(prompts, row); };
  try {
    generate_texts(model, prompts.rows, text, where, on_text, hooks.stop);
  } catch (const Interrupted&) {
    result.interrupted = true;
  }
  say_cut_off(result.completions, model.checkpoint.options.max_positions, hooks);
  return result;
}

}  // namespace finetune
