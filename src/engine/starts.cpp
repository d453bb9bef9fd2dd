#include "engine/starts.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "config/lora_rules.h"
#include "core/error.h"
#include "core/text.h"
#include "engine/reference.h"

namespace finetune {
namespace {

void find_principal_parts(Session& session) {
  if (!some_trial_is_pissa(session.config)) return;
  OpenedModel& model = session.model;
  const StoreOptions options = store_options(session, 1);
  const auto begun = std::chrono::steady_clock::now();
  const auto check = [&] {
    if (session.interrupted && session.interrupted()) throw Interrupted();
  };
  for (std::size_t lane = 0; lane < model.bases.size(); ++lane) {
    const auto first = std::ranges::find(model.devices, model.devices[lane]) - model.devices.begin();
    if (static_cast<std::size_t>(first) < lane) {
      model.principal.push_back(model.principal[static_cast<std::size_t>(first)]);
      continue;
    }
    model.principal.push_back(std::make_shared<const PrincipalParts>(
        principal_parts(model.bases[lane], options.targets, options.max_rank / 2, check)));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto matrices = model.checkpoint.options.layers * std::ssize(options.targets.members());
  session.say(
      fmt::format("pissa: principal parts of {} matrices, once for all trials: {}", matrices, duration_text(seconds)));
}

}  // namespace

void compute_starts(Session& session) {
  set_references(session);
  find_principal_parts(session);
}

}  // namespace finetune
