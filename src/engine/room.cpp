#include "engine/room.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "engine/admission.h"
#include "engine/precision.h"

namespace finetune {
namespace {

// A pass that is chosen is not smaller, so shorter examples would save nothing.
constexpr std::int64_t kShortest = 512;

// Something to be run instead, and how it is asked for.
struct Way {
  std::string name;
  MemoryCase one;
  std::int64_t trials = 0;
};

std::vector<MemoryNeed> needs_of(const Session& session, const Way& way) {
  std::vector<MemoryNeed> needs = memory_needs(session, std::max<std::int64_t>(1, way.trials), way.one);
  if (way.trials > 0) return needs;
  for (MemoryNeed& need : needs) need.to_come -= need.estimate.to_come(need.share.device.is_cpu());  // the base is left
  return needs;
}

bool may_run(const Session& session, const Way& way) {
  return std::ranges::all_of(needs_of(session, way), &MemoryNeed::fits);
}

Way as_it_is(const Session& session, std::int64_t trials) {
  Way way{.one = case_of(session), .trials = trials};
  way.one.tokens_per_pass = tokens_of_pass(session, way.one);
  return way;
}

// `change` of what is asked for, with the pass that goes with it.
template <typename Change>
Way changed(const Session& session, Way way, std::string name, const Change& change) {
  way.name = std::move(name);
  change(way.one);
  way.one.tokens_per_pass = tokens_of_pass(session, way.one);
  return way;
}

void add_passes(const Session& session, const Way& asked, std::vector<Way>& ways) {
  if (asked.trials == 0) return;
  if (session.config.run.tokens_per_pass) {
    Way chosen = asked;
    chosen.name = "run.tokens_per_pass: auto";
    chosen.one.tokens_per_pass = choose_tokens_per_pass(session, chosen.one);
    ways.push_back(std::move(chosen));
  }
  const auto longest = static_cast<std::uint64_t>(std::max<std::int64_t>(1, tokens_of_longest(session) - 1));
  for (auto length = static_cast<std::int64_t>(std::bit_floor(longest)); length >= kShortest; length /= 2) {
    Way way = changed(session, asked, fmt::format("data.max_length: {}", length),
                      [&](MemoryCase& one) { one.longest = length; });
    if (!may_run(session, way)) continue;
    ways.push_back(std::move(way));  // the longest is enough
    return;
  }
}

void add_bases(const Session& session, const Way& asked, std::vector<Way>& ways) {
  const std::string lora = asked.one.full ? "train.method: lora" : "", with = asked.one.full ? " with " : "";
  const auto add = [&](const std::string& name, const auto& change) {
    ways.push_back(changed(session, asked, lora + (name.empty() ? "" : with + name), [&](MemoryCase& one) {
      one.full = false;
      change(one);
    }));
    return may_run(session, ways.back());
  };
  if (asked.one.full && add("", [](MemoryCase&) {})) return;
  for (const auto code : {kernels::Code::int8, kernels::Code::nf4})
    add(std::string("model.quantize: ") + (code == kernels::Code::nf4 ? "nf4" : "int8"),
        [&](MemoryCase& one) { one.quantization = {.code = code}; });
  if (asked.one.dtype == at::kFloat) add("model.dtype: bfloat16", [](MemoryCase& one) { one.dtype = at::kBFloat16; });
}

void add_processor(const Session& session, const Way& asked, std::vector<Way>& ways) {
  if (std::ranges::all_of(session.model.devices, &at::Device::is_cpu)) return;
  ways.push_back(changed(session, asked, "--devices cpu", [](MemoryCase& one) { one.devices = {at::kCPU}; }));
}

// The smallest there is, where no single change is enough.
Way smallest(const Session& session, const Way& asked) {
  const std::string method = asked.one.full ? "train.method: lora with " : "";
  Way way = changed(session, asked, method + fmt::format("model.quantize: nf4 and data.max_length: {}", kShortest),
                    [](MemoryCase& one) {
                      one.full = false;
                      one.quantization = {.code = kernels::Code::nf4};
                      one.longest = kShortest;
                    });
  way.trials = std::min<std::int64_t>(1, asked.trials);
  if (way.trials < asked.trials) way.name = "train (one configuration, no search), " + way.name;
  return way;
}

std::string what_would_fit(const Session& session, const Way& asked) {
  std::vector<Way> ways;
  if (asked.trials > 1) {
    ways.push_back(asked);
    ways.back().name = "train (one configuration, no search)";
    ways.back().trials = 1;
  }
  add_passes(session, asked, ways);
  add_bases(session, asked, ways);
  add_processor(session, asked, ways);
  std::erase_if(ways, [&](const Way& way) { return !may_run(session, way); });
  if (ways.empty()) ways.push_back(smallest(session, asked));
  if (!may_run(session, ways.front())) return "nothing that can be set would make it fit: take a smaller model";
  std::vector<std::string> names;
  for (const Way& way : ways) names.push_back(way.name);
  return "what would fit: " + join(names, "; ");
}

std::string text_of(const Session& session, const Way& asked) {
  std::string base = dtype_name(asked.one.dtype);
  if (asked.one.quantization.code) base = quantization_name(asked.one.quantization);
  if (asked.trials == 0) return "the model in " + base;
  const std::string beside = asked.trials > 1 ? " of a trial with the default configuration beside it" : "";
  const std::string pass =
      fmt::format(" in passes of {} tokens",
                  with_commas(std::max(asked.one.tokens_per_pass, tokens_of_longest(session, asked.one))));
  return (asked.one.full ? "full fine-tuning in " : "LoRA over ") + base + beside + pass;
}

}  // namespace

std::optional<std::string> lack_of_room(const Session& session, std::int64_t trials) {
  const Way asked = as_it_is(session, trials);
  for (const MemoryNeed& need : needs_of(session, asked)) {
    if (need.to_come <= need.share.free) continue;
    const auto gigabytes = [](std::int64_t bytes) { return 1e-9 * static_cast<double>(bytes); };
    return fmt::format("{} needs {:.1f} GB of {}, which has {:.1f} GB free; {}", text_of(session, asked),
                       gigabytes(need.to_come), need.share.device.str(), gigabytes(need.share.free),
                       what_would_fit(session, asked));
  }
  return std::nullopt;
}

void require_room(const Session& session, std::int64_t trials) {
  if (const auto line = lack_of_room(session, trials)) throw bad_input(session.config.model.path, *line);
}

}  // namespace finetune
