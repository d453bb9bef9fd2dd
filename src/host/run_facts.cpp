#include "host/run_facts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/number.h"
#include "core/strict_json.h"
#include "core/version.h"
#include "engine/devices.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

std::string config_hash(const fs::path& run) {
  return file_hash(run / "run.yaml");
}

std::string processors_of(const Session& session) {
  std::string text;
  for (const at::Device& device : session.model.devices) {
    const std::string name = processor_of(device);
    if (text.find(name) == std::string::npos) text += (text.empty() ? "" : "; ") + name;  // lanes of a device share it
  }
  return text;
}

}  // namespace

void keep_facts(SaveRows& rows, const Session& session, const std::vector<RunInput>& inputs) {
  rows.set_fact("version", kVersion);
  rows.set_fact("config", config_hash(session.config.run.out));
  rows.set_fact("processor", processors_of(session));
  rows.set_fact("directory", fs::current_path().string());
  keep_inputs(rows, inputs);
}

void keep_inputs(SaveRows& rows, const std::vector<RunInput>& inputs) {
  rows.set_fact("inputs", to_json(inputs).dump());
}

RunFacts::RunFacts(fs::path run, std::map<std::string, std::string> facts)
    : run_(std::move(run)), facts_(std::move(facts)) {}

const std::string& RunFacts::of(const std::string& key) const {
  const auto found = facts_.find(key);
  if (found == facts_.end())
    throw bad_input((run_ / "study.db").string(), "lacks what was noted when the run began (" + key +
                                                      "); was study.db-wal, which belongs to it, left behind?");
  return found->second;
}

void RunFacts::require_same_program() const {
  if (of("version") != kVersion)
    throw bad_input(run_.string(), "was begun by finetune_tune " + of("version") + ", and this is " + kVersion +
                                       "; go on with the version that began it");
  if (of("config") != config_hash(run_))
    throw bad_input((run_ / "run.yaml").string(),
                    "has changed since the run began; a run is gone on with as it was, so put it back");
}

std::int64_t RunFacts::workers() const {
  const auto found = facts_.find(kWorkersFact);
  if (found == facts_.end()) return 0;
  const auto number = number_from_text(found->second);
  if (!number || !(*number >= 1 && *number <= 1e6))
    throw bad_input((run_ / "study.db").string(), "says that the run has " + found->second + " workers");
  return static_cast<std::int64_t>(*number);
}

void RunFacts::require_same_workers(std::int64_t here) const {
  const std::int64_t begun = workers();
  if (begun == here) return;
  const std::string how =
      begun == 0 ? "in a process of its own; go on with finetune_tune resume"
                 : fmt::format("with {0} workers; go on with finetune_tune.ray.resume(out, num_workers={0})", begun);
  throw bad_input(run_.string(), "was begun " + how);
}

void RunFacts::require_same_inputs(const RunConfig& config) const {
  const std::string where = (run_ / "study.db").string();
  const auto begun = inputs_from_json(parse_strict_json(where, of("inputs"), 4));
  auto now = run_inputs(config);
  hash_inputs(now);
  if (const auto difference = changed_since(begun, now))
    throw bad_input(run_.string(), "cannot be gone on with: " + *difference);
}

void RunFacts::require_same_processor(const Session& session, bool elsewhere) const {
  const std::string here = processors_of(session), there = of("processor");
  if (here == there) return;
  const std::string difference = "begun on " + there + ", gone on with on " + here;
  if (!elsewhere)
    throw bad_input(run_.string(), difference +
                                       ": the last bits of results may differ from those of a run that was never "
                                       "moved; --elsewhere takes that");
  session.say(difference + ": the last bits of results may differ from those of a run that was never moved");
}

}  // namespace finetune
