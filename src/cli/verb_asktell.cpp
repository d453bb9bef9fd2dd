#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "cli/asktell.h"
#include "cli/prepare.h"
#include "config/config.h"
#include "config/search_fields.h"
#include "core/error.h"
#include "core/metric.h"
#include "core/text.h"
#include "host/tuner_setup.h"
#include "tuners/asktell/session.h"
#include "tuners/registry.h"

namespace finetune {
namespace {

// The keys that a saved state depends on. Trials, concurrency and budgets may differ: a study can be prolonged.
nlohmann::ordered_json identity_of(const RunConfig& config) {
  const auto part = [](const TunerPart& p) {
    nlohmann::ordered_json json{{"name", p.name}};
    for (const auto& [option, value] : p.options) json[option] = to_json(value);
    return json;
  };
  const auto& warm = config.tune.warm_start;  // nothing where there is none, as in states of before this key
  return {{"search", to_yaml(search_node(config.search))},
          {"tune.sampler", part(*config.tune.sampler)},
          {"tune.scheduler", part(*config.tune.scheduler)},
          {"tune.direction", to_text(config.tune.direction)},
          {"tune.steps", config.tune.steps},
          {"tune.warm_start", warm.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(warm)},
          {"tune.seed", config.tune.seed}};
}

// Keys of tune that say what is measured of a model, or trained after the search.
bool is_of_a_model(const std::string& key) {
  constexpr std::array kBeginnings = {"tune.metric",     "tune.rung_metric", "tune.generate", "tune.command",
                                      "tune.eval_share", "tune.confirm",     "tune.audit",    "tune.ablation"};
  return std::ranges::any_of(kBeginnings, [&](const char* beginning) { return key.starts_with(beginning); });
}

// What was given and means nothing to an outside objective: said, not refused, so that one file serves both. The flag
// --seed sets train.seed too.
std::vector<std::string> idle_keys(const RunConfig& config) {
  std::vector<std::string> keys;
  for (const std::string& key : config.given) {
    const bool used = key.starts_with("search") || (key.starts_with("tune.") && !is_of_a_model(key));
    if (!used && key != "train.seed") keys.push_back(key);
  }
  return keys;
}

// Lines of a stream, the last one also without a line break; `out` is flushed before waiting for more. So a caller who
// sends many lines at once gets many answers at once, and one who waits for each answer gets it.
class Lines {
 public:
  Lines(std::istream& in, std::ostream& out) : in_(in), out_(out) {}

  bool next(std::string& line) {
    std::size_t end = std::string::npos;
    while ((end = buffer_.find('\n', searched_)) == std::string::npos) {
      searched_ = buffer_.size();
      if (!read_more()) break;
    }
    if (end == std::string::npos && at_ == buffer_.size()) return false;
    const std::size_t stop = end == std::string::npos ? buffer_.size() : end;
    line.assign(buffer_, at_, stop - at_);
    searched_ = at_ = std::min(stop + 1, buffer_.size());
    return true;
  }

 private:
  bool read_more() {
    out_ << std::flush;
    buffer_.erase(0, std::exchange(at_, 0));
    searched_ = buffer_.size();
    char chunk[65536];
    if (!in_.get(chunk[0])) return false;  // waits until something has come
    buffer_.push_back(chunk[0]);
    buffer_.append(chunk, static_cast<std::size_t>(in_.readsome(chunk, sizeof chunk)));
    return true;
  }

  std::istream& in_;
  std::ostream& out_;
  std::string buffer_;
  std::size_t at_ = 0, searched_ = 0;  // where the next line begins, and where to look for its end
};

}  // namespace

AskTellSetup asktell_setup(const RunConfig& config, const PastTrials& past) {
  AskTellSetup setup;
  setup.make_tuner = [config, past] { return make_tuner(config, config.tune.concurrent, true, past); };
  setup.steps = config.tune.steps;
  setup.direction = config.tune.direction;
  setup.identity = identity_of(config);
  if (const auto seconds = config.tune.budget.seconds) {
    const auto started = std::chrono::steady_clock::now();
    setup.out_of_time = [=] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() >= *seconds;
    };
  }
  return setup;
}

AskTellStart start_asktell(RunConfig config) {
  if (config.search.empty()) throw bad_input("", "search is missing: asktell needs parameters to tune");
  if (config.tune.budget.tokens) throw bad_input("", "tune.budget.tokens has no meaning here: asktell sees no tokens");
  choose_defaults(config, {.asktell = true});
  make_tuner(config, config.tune.concurrent, true);  // a wrong sampler or scheduler is found before anything is read
  const PastTrials past = read_past_trials(config, true);
  const auto choice = settle_method(config, {.asktell = true, .past_trials = past.count()});
  const auto idle = idle_keys(config);
  AskTellStart start{.setup = asktell_setup(config, past)};
  if (!idle.empty()) start.notes.push_back("asktell reads search and tune; without meaning here: " + join(idle, ", "));
  for (const std::string& line : past.lines()) start.notes.push_back(line);
  if (choice) start.notes.push_back("method auto: " + *choice);
  return start;
}

int run_asktell(RunConfig config, std::istream& in, std::ostream& out) {
  AskTellStart start = start_asktell(std::move(config));
  AskTellSession session(std::move(start.setup));
  for (const std::string& line : start.notes) std::cerr << line << "\n";
  Lines lines(in, out);
  for (std::string line; lines.next(line);) out << session.answer(line) << '\n';
  out << std::flush;
  return 0;
}

namespace {

int run_asktell_verb(const Arguments& arguments) {
  RunConfig config = prepare_config(arguments, true);
  if (arguments.sources.file.empty()) throw bad_input("", "--config FILE is missing");
  std::ios::sync_with_stdio(false);
  try {
    return run_asktell(std::move(config), std::cin, std::cout);
  } catch (const Error& error) {
    throw error.at(arguments.sources.file);
  }
}

}  // namespace

Verb asktell_verb() {
  return {.name = "asktell",
          .help = "the tuner alone, for an objective in any language: JSON lines on stdin and stdout",
          .example = "finetune_tune asktell --config space.yaml",
          .run = run_asktell_verb,
          .notes = tuners_help()};
}

}  // namespace finetune
