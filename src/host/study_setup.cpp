#include "host/study_setup.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "config/metric_rules.h"
#include "config/params.h"
#include "core/error.h"
#include "core/files.h"
#include "core/metric.h"
#include "core/text.h"
#include "data/shared_examples.h"
#include "engine/admission.h"
#include "engine/devices.h"
#include "engine/profile_table.h"
#include "engine/rates.h"
#include "engine/schedule.h"
#include "host/forecast.h"
#include "host/results.h"
#include "host/run_paths.h"

namespace finetune {

// Enough to even out the rounds of lanes, whose lengths differ by chance.
constexpr std::int64_t kRoundsAhead = 8;

std::optional<LaneCosts> lanes_of_study(Session& session, const StudyHooks& hooks, std::int64_t trials) {
  if (!hooks.lanes) return settle_lanes(session, trials, kMeasuringSeconds);
  if (session.config.run.profile)
    throw bad_input("", "run.profile measures lanes of this process, and the trials are computed elsewhere");
  suppose_lanes(session, 1);
  return std::nullopt;
}

std::int64_t resident_in_study(Session& session, const StudyHooks& hooks) {
  return hooks.lanes ? wanted_trials(session.config) : resident_trials(session);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Session open_study(RunConfig config, DataUse use, std::int64_t trials, const Say& say,
                   const std::function<bool()>& stop) {
  use.say = say;
  Session session = open_session(std::move(config), use, Weights::read, trials);
  session.say = [say](const std::string& line) {
    if (say) say(line);
  };
  session.interrupted = stop;
  return session;
}

void require_validation(const OpenedData& data, const std::string& why) {
  if (data.valid.examples.empty())
    throw bad_input("", "there is no validation data, which " + why +
                            "; give data.valid (--valid FILE), or data.valid_fraction above 0");
}

void describe_session(const Session& session) {
  const DecoderOptions& model = session.model.checkpoint.options;
  const Dataset &train = session.data.train, &valid = session.data.valid;
  session.say(fmt::format("{}: {} layers, width {}, {} parameters; {}", session.config.model.path, model.layers,
                          model.width, with_commas(base_parameters(model)),
                          describe_device(session.model.devices.front())));
  const std::string measured =
      valid.examples.empty()
          ? "no validation data"
          : fmt::format("valid {} examples ({})", with_commas(std::ssize(valid.examples)), session.data.valid_source);
  session.say(
      fmt::format("train {} examples ({}), {}", with_commas(std::ssize(train.examples)), train.format, measured));
  say_notes(session);
}

void say_notes(const Session& session) {
  for (const auto& note : session.notes) session.say(note);
  const OpenedData& data = session.data;
  for (const std::string& warning : shared_warnings(data.train.examples, data.valid.examples, data.test.examples))
    session.say(warning);
}

FileLock begin_folder(const Session& session, bool overwrite) {
  const std::string& out = session.config.run.out;
  FileLock lock = make_out(out, overwrite);
  write_file_atomically(std::filesystem::path(out) / "run.yaml", run_yaml(session));
  return lock;
}

StudyPlan study_plan(const RunConfig& config) {
  return {.trials = config.tune.trials,
          .steps_per_trial = last_step(config.train),
          .metric = config.tune.metric,
          .rung_metric = rung_metric(config).name,
          .direction = config.tune.direction,
          .budget = config.tune.budget,
          .ablation = config.tune.ablation};
}

StudyOptions study_options(const Session& session, const RunConfig& config, std::int64_t resident) {
  StudyOptions options;
  options.configure = [&config](const Params& params) { return configure_trial(config, params); };
  options.metric = wanted_metrics(config).front();
  options.rung_metric = rung_metric(config);
  options.tasks_at_rungs = tasks_at_rungs(config);
  options.has_validation = !session.data.valid.examples.empty();
  options.eval_every = config.run.eval_every;
  options.concurrent = resident;
  options.lag = session.model.devices.front().is_cpu() ? 0 : 1;
  options.ahead = kRoundsAhead;
  options.budget_tokens = config.tune.budget.tokens;
  return options;
}

static Ceiling ceiling_of(const Session& session) {
  const ProductRates rates = product_rates(at::kCPU, {kCeilingSize, kCeilingSize, kCeilingSize}, 0.05);
  const bool wide = session.model.checkpoint.dtype == at::kFloat;
  return {.flops = wide ? rates.float32 : rates.bfloat16, .bytes = copy_rate(at::kCPU)};
}

static PartFact part_fact(const ProfileRow& row, const ProfileTable& table, const Ceiling& ceiling) {
  const auto lanes = static_cast<double>(table.idle.size());
  const auto rate = [&](double work) {
    return work > 0 && row.seconds > 0 ? std::optional(1e-9 * work / row.seconds) : std::nullopt;
  };
  const double of_ceiling = share_of_ceiling(row, ceiling, table.idle.size());
  return {.part = row.part,
          .seconds = row.seconds,
          .share = row.seconds / (table.wall * lanes),
          .calls = row.calls > 0 ? std::optional(row.calls) : std::nullopt,
          .ms_per_step = 1e3 * row.seconds / static_cast<double>(table.steps),
          .gflops = rate(row.work.flops),
          .gbytes = rate(row.work.bytes),
          .of_ceiling = of_ceiling > 0 ? std::optional(of_ceiling) : std::nullopt};
}

std::optional<ProfileFacts> profile_of(const Session& session, const std::vector<LaneParts>& lanes,
                                       std::int64_t after_round) {
  if (!session.config.run.profile) return std::nullopt;
  std::vector<ops::Profile> measured;
  for (const LaneParts& lane : lanes) measured.push_back(*lane.trainer->profile());
  const ProfileTable table = profile_table(measured);
  ProfileFacts facts{.seconds = table.wall, .after_round = after_round};
  if (table.wall <= 0 || table.steps == 0) return facts;
  facts.steps = table.steps;
  facts.waiting = table.idle;
  const bool all_cpu = std::ranges::all_of(session.model.devices, [](const at::Device& one) { return one.is_cpu(); });
  const Ceiling ceiling = all_cpu ? ceiling_of(session) : Ceiling{};
  const double mine = 1e-9 / static_cast<double>(lanes.size());
  if (all_cpu)
    facts.ceiling = CeilingFact{.gflops = ceiling.flops * mine, .gbytes = ceiling.bytes * mine, .size = kCeilingSize};
  for (const ProfileRow& row : table.rows) facts.rows.push_back(part_fact(row, table, ceiling));
  return facts;
}

std::vector<Lane*> lanes_of(std::vector<LaneParts>& lanes) {
  std::vector<Lane*> trainers;
  for (auto& lane : lanes) trainers.push_back(lane.trainer.get());
  return trainers;
}

}  // namespace finetune
