#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "cli/show_data.h"
#include "config/config.h"
#include "core/error.h"
#include "core/text.h"
#include "engine/schedule.h"
#include "engine/session.h"
#include "host/replay_source.h"
#include "host/run_paths.h"
#include "host/start_trial.h"
#include "host/tuner_setup.h"

namespace finetune {
namespace {

// Seconds of one round (a step of every resident trial), measured on the real data. The trained state is thrown away.
double measured_round_seconds(const Session& session, std::int64_t resident) {
  std::vector<LaneParts> lanes = make_lanes(session, resident);
  std::vector<TrialId> ids;
  for (std::int64_t i = 0; i < resident; ++i) {
    ids.push_back({i});
    lanes.front().trainer->admit({i}, session.config.train);
  }
  lanes.front().trainer->step(ids);  // the first one also allocates
  const auto started = std::chrono::steady_clock::now();
  lanes.front().trainer->step(ids);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

nlohmann::ordered_json data_json(const Dataset& data) {
  return {{"examples", static_cast<std::int64_t>(data.examples.size())},
          {"tokens", data.tokens},
          {"loss_tokens", data.loss_tokens},
          {"truncated", data.truncated},
          {"dropped_long", data.dropped_long},
          {"dropped_no_loss", data.dropped_no_loss},
          {"straddling", data.straddling},
          {"rejects", static_cast<std::int64_t>(data.rejects.size())},
          {"format", data.format}};
}

std::string params_text(const Params& params) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : params) texts.push_back(name + " = " + to_text(value));
  return join(texts, ", ");
}

int run_check(const Arguments& arguments) {
  RunConfig config = prepare_config(arguments);
  resolve_replay(config);
  choose_defaults(config);
  validate(config);
  make_tuner(config, std::nullopt);
  check_paths(config, false, false);
  Session session = open_session(std::move(config), {.collect_rejects = true});
  std::ostream& out = arguments.json() ? std::cerr : std::cout;
  const std::int64_t resident = resident_trials(session);
  for (const auto& note : session.notes) out << note << "\n";
  if (!session.train.examples.empty())
    show_examples(out, session.train, *session.tokenizer, 3, !arguments.json() && isatty(STDOUT_FILENO) != 0);
  show_counts(out, "train", session.train);
  show_counts(out, "valid (" + session.valid_source + ")", session.valid);
  const std::int64_t shared = count_shared(session.train.examples, session.valid.examples);
  if (shared > 0)
    out << fmt::format(
        "warning: {} validation examples also occur in training; their loss says nothing about new data\n",
        with_commas(shared));
  const std::size_t rejected = session.train.rejects.size() + session.valid.rejects.size();
  if (rejected > 0 || session.train.examples.empty()) {
    show_rejects(out, session.train, 50);
    show_rejects(out, session.valid, 50);
    const Dataset& first = session.train.rejects.empty() ? session.valid : session.train;
    if (rejected == 0) throw bad_input(join(session.config.data.train, ", "), "data.train has no usable example");
    throw bad_input(
        first.rejects.front().where,
        first.rejects.front().reason + " (" + with_commas(static_cast<long long>(rejected)) + " bad lines in all)");
  }
  const auto start = start_trial(session.config, search_space(session.config));
  if (start) out << "the first trial starts with " << params_text(*start) << "\n";
  if (const auto choice = settle_method(session.config, {.side_by_side = resident}))
    out << "method auto: " << *choice << "\n";
  if (const auto moved = describe_first_look(session.config)) out << *moved << "\n";
  const MemoryEstimate memory = session_memory(session, resident + 1);
  const double round = measured_round_seconds(session, resident);
  const double steps = static_cast<double>(session.config.tune.trials * last_step(session.config.train));
  const double seconds = round * steps / static_cast<double>(resident);
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  out << fmt::format(
      "memory about {:.0f} MiB: base {:.0f}, {} slots {:.0f}, kept states {:.0f}, activations {:.0f}, program {:.0f}\n",
      mib(memory.total()), mib(memory.base), resident + 1, mib(memory.slots), mib(memory.images),
      mib(memory.activations), mib(memory.program));
  out << fmt::format(
      "{} trials of {} steps, {} side by side: a round takes {:.3f} s, all to the end at most {:.0f} s (sampler {}, "
      "scheduler {}; stopping saves most of it)\n",
      session.config.tune.trials, last_step(session.config.train), resident, round, seconds,
      session.config.tune.sampler->name, session.config.tune.scheduler->name);
  if (arguments.json()) {
    nlohmann::ordered_json json{{"train", data_json(session.train)},
                                {"valid", data_json(session.valid)},
                                {"shared_examples", shared},
                                {"memory_bytes", memory.total()},
                                {"seconds", seconds},
                                {"concurrent", resident}};
    if (start) json["start"] = to_json(*start);
    std::cout << json.dump() << "\n";
  }
  return 0;
}

}  // namespace

Verb check_verb() {
  return {.name = "check",
          .help = "read everything, train nothing: what will be trained on, rejects, memory, time",
          .example = "finetune_tune check --model models/qwen --train train.jsonl",
          .flags = training_flags() + out_flags(),
          .required = {"model.path", "data.train"},
          .run = run_check};
}

}  // namespace finetune
