#include "cli/check.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "cli/show_data.h"
#include "cli/show_fits.h"
#include "config/config.h"
#include "core/error.h"
#include "core/text.h"
#include "data/shared_examples.h"
#include "engine/admission.h"
#include "engine/lane_count.h"
#include "engine/room.h"
#include "engine/session.h"
#include "host/forecast.h"
#include "host/replay_source.h"
#include "host/run_paths.h"
#include "host/shared_run.h"
#include "host/start_trial.h"
#include "host/tuner_setup.h"
#include "models/shards.h"

namespace finetune {
namespace {

nlohmann::ordered_json data_json(const Dataset& data) {
  auto roles = nlohmann::ordered_json::object();
  for (const auto& role : data.roles) roles[role.role] = {{"tokens", role.tokens}, {"loss_tokens", role.loss_tokens}};
  return {{"examples", static_cast<std::int64_t>(data.examples.size())},
          {"tokens", data.tokens},
          {"loss_tokens", data.loss_tokens},
          {"truncated", data.truncated},
          {"dropped_long", data.dropped_long},
          {"dropped_no_loss", data.dropped_no_loss},
          {"straddling", data.straddling},
          {"rejects", static_cast<std::int64_t>(data.rejects.size())},
          {"format", data.format},
          {"chat_template", data.chat_template},
          {"roles", roles}};
}

std::string params_text(const Params& params) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : params) texts.push_back(name + " = " + to_text(value));
  return join(texts, ", ");
}

void show_notes(const CheckOutput& output, Session& session) {
  for (const auto& note : session.notes) output.text << output.words(note) << "\n";
  session.notes.clear();
}

void show_data(std::ostream& out, const OpenedData& data, const Tokenizer& tokenizer, bool colours) {
  if (!data.train.examples.empty()) show_examples(out, data.train, tokenizer, 3, colours);
  show_counts(out, "train", data.train);
  if (data.valid.examples.empty())
    out << "valid: none; tune wants data.valid or a data.valid_fraction above 0\n";
  else
    show_counts(out, "valid (" + data.valid_source + ")", data.valid);
  if (!data.test.files.empty()) show_counts(out, "test (" + join(data.test.files, ", ") + ")", data.test);
  show_roles(out, data.train);
  for (const auto& warning : shared_warnings(data.train.examples, data.valid.examples, data.test.examples))
    out << warning << "\n";
}

// Lists every bad line and ends with the first.
void refuse_rejects(std::ostream& out, const OpenedData& data, bool by_shares) {
  std::size_t rejected = 0;
  const Reject* first = nullptr;
  std::string where;
  for (const Dataset* part : {&data.train, &data.valid, &data.test}) {
    rejected += part->rejects.size();
    if (first != nullptr || part->rejects.empty()) continue;
    first = &part->rejects.front();
    where = place_of(*part, first->file, first->line);
  }
  for (const Dataset* part : {&data.train, &data.valid, &data.test}) show_rejects(out, *part, 50);
  if (first == nullptr && data.train.examples.empty())
    throw bad_input(join(data.train.files, ", "), "data.train has no usable example");
  if (first == nullptr && !data.test.files.empty() && data.test.examples.empty())
    throw bad_input(join(data.test.files, ", "), "data.test has no usable example");
  if (first == nullptr && by_shares) require_parts(data.train);
  if (first == nullptr) return;
  throw bad_input(where, first->reason + " (" + with_commas(static_cast<long long>(rejected)) + " bad lines in all)");
}

// Weights are read where there are some and data to try them on.
Weights weights_to_read(const RunConfig& config) {
  return has_weights(config.model.path) && !config.data.train.empty() ? Weights::read : Weights::sizes_only;
}

// What is not checked, and why.
void show_gaps(const CheckOutput& output, const Session& session) {
  std::ostream& out = output.text;
  const std::string& model = session.config.model.path;
  if (!session.model.sizes_only) return;
  if (session.config.train.epochs && !session.has_data())
    out << "train.epochs tells no steps without data: " << session.config.train.steps << " are assumed\n";
  if (!has_weights(model))
    out << model
        << " has no weights: memory follows from its config.json, and nothing is measured, so no time is said\n";
  if (session.config.data.train.empty())
    out << output.words("no data are given: memory is that of full passes; --train FILE checks data")
        << (has_weights(model) ? ", reads the weights and measures time\n" : "\n");
  else if (!session.model.tokenizer)
    out << model
        << " has no tokenizer: data.* are not read, so neither examples nor lengths are checked, and memory is "
        << "that of full passes\n";
}

void check_data(std::ostream& out, const Session& session, bool colours) {
  if (session.model.tokenizer == nullptr || session.config.data.train.empty()) return;
  show_data(out, session.data, *session.model.tokenizer, colours);
  refuse_rejects(out, session.data, !session.config.train.shares.empty());
}

std::optional<LaneCosts> costs_of(Session& session) {
  const std::int64_t wanted = wanted_trials(session.config);
  if (!session.model.sizes_only) return settle_lanes(session, wanted, kCheckSeconds);
  suppose_lanes(session, wanted);
  return std::nullopt;
}

nlohmann::ordered_json check_json(const Session& session, const Forecast& forecast,
                                  const std::optional<Params>& start) {
  const OpenedData& data = session.data;
  nlohmann::ordered_json json;
  if (session.has_data())
    json = {{"train", data_json(data.train)},
            {"valid", data_json(data.valid)},
            {"shared_examples", count_shared(data.train.examples, data.valid.examples)}};
  json["memory_bytes"] = memory_bytes(forecast);
  json["memory"] = memory_parts(forecast);
  json["save_bytes"] = forecast.save_bytes;
  if (forecast.is_timed) {
    json["seconds"] = forecast.seconds;
    json["round_seconds"] = forecast.round_seconds;
  }
  json["lanes"] = *session.config.run.lanes;
  json["concurrent"] = forecast.resident;
  if (!data.test.files.empty()) {
    json["test"] = data_json(data.test);
    json["shared_test_examples"] = count_shared(data.train.examples, data.test.examples);
  }
  if (start) json["start"] = to_json(*start);
  if (session.model.sizes_only) json.update(fits_json(session));
  return json;
}

}  // namespace

nlohmann::ordered_json check(RunConfig config, const CheckOutput& output) {
  resolve_replay(config);
  choose_defaults(config);
  validate(config);
  make_tuner(config, std::nullopt);
  const auto standing = look_at_study(config, false);
  check_paths(config, false, false);
  const PastTrials past = read_past_trials(config);
  const Weights weights = weights_to_read(config);
  Session session = open_session(std::move(config), {.collect_rejects = true, .say = output.say}, weights, 1);
  session.say = output.say;
  session.interrupted = output.stop;
  if (output.stop && output.stop()) throw Interrupted();
  std::ostream& out = output.text;
  show_gaps(output, session);
  show_notes(output, session);
  check_data(out, session, output.colours);
  const std::optional<LaneCosts> costs = costs_of(session);
  const std::int64_t resident = resident_trials(session);
  show_notes(output, session);
  if (const auto line = lack_of_room(session, kSearchTrials); line && !session.model.sizes_only)
    out << "a search does not fit: " << output.words(*line) << "\n";
  const auto start = start_trial(session.config, search_space(session.config));
  if (start) out << "the first trial starts with " << params_text(*start) << "\n";
  out << describe_search(session.config) << "\n";
  for (const std::string& line : past.lines()) out << line << "\n";
  if (const auto choice = settle_method(session.config, {.side_by_side = resident, .past_trials = past.count()}))
    out << "method auto: " << *choice << "\n";
  if (const auto moved = describe_first_look(session.config)) out << *moved << "\n";
  const Forecast forecast = make_forecast(session, costs, resident, true);
  out << fmt::format("sampler {}, scheduler {}\n", session.config.tune.sampler->name,
                     session.config.tune.scheduler->name);
  for (const auto& line : forecast_lines(forecast)) out << output.words(line) << "\n";
  if (standing) out << describe_standing(session.config, *standing) << "\n";
  if (session.model.sizes_only) show_fits(out, session, output.columns);
  return check_json(session, forecast, start);
}

}  // namespace finetune
