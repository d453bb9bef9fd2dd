// Options as data: every name in the registry says what its options are, takes their defaults and refuses the rest.
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "core/text.h"
#include "tuners/options.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

using Kind = OptionSpec::Kind;

SearchSpace space() {
  return {{{.name = "x", .low = 1, .high = 9, .integer = true}}};
}

// What a kind cannot do without.
Params required(const std::string& name) {
  if (name == "threshold") return {{"upper", 1.0}};
  if (name == "replay") return {{"schedule", std::string("3 x=5")}};
  return {};
}

using Make = std::function<void(const Params&)>;

std::string refusal(const Make& make, Params params, const std::string& name, const Value& value) {
  std::erase_if(params, [&](const auto& param) { return param.first == name; });
  params.emplace_back(name, value);
  try {
    make(params);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Values that the option's range forbids.
std::vector<Value> outside(const OptionSpec& spec) {
  switch (spec.kind) {
    case Kind::whole:
    case Kind::number: {
      std::vector<Value> values{std::string("many"), true};
      if (spec.kind == Kind::whole) values.emplace_back(2.5);
      const auto put = [&](double x) {
        if (spec.kind == Kind::whole) {
          values.emplace_back(static_cast<std::int64_t>(x));
        } else {
          values.emplace_back(x);
        }
      };
      if (spec.low > -OptionSpec::kNoLimit) put(spec.low - 1);
      if (spec.high < OptionSpec::kNoLimit) put(spec.high + 1);
      return values;
    }
    case Kind::flag:
      return {std::string("maybe"), std::int64_t{1}};
    case Kind::choice:
      return {std::string("neither"), std::int64_t{1}};
    case Kind::list:
      return {};
  }
  return {};
}

void check_options(const std::string& prefix, const std::string& name, const std::vector<OptionSpec>& options,
                   const Make& make) {
  for (const OptionSpec& spec : options) {
    const std::string key = name + "." + spec.name;
    EXPECT_FALSE(spec.help.empty()) << key;
    EXPECT_NE(tuners_help().find(describe(spec)), std::string::npos) << key;
    const bool is_required = find_param(required(name), spec.name) != nullptr || name == "threshold";
    const bool says_default = spec.otherwise.has_value() || !spec.absent.empty();
    EXPECT_TRUE(says_default || is_required) << key << " has no default";
    if (spec.otherwise) {
      EXPECT_EQ(refusal(make, required(name), spec.name, *spec.otherwise), "") << key << ": its default";
    }
    for (const Value& value : outside(spec)) {
      const std::string said = refusal(make, required(name), spec.name, value);
      EXPECT_NE(said.find(prefix + "." + spec.name), std::string::npos) << key << " takes " << to_text(value);
      const std::string range = spec.kind == Kind::choice ? "allowed: " + join(spec.allowed, ", ") : range_text(spec);
      EXPECT_NE(said.find(range), std::string::npos) << said;
    }
    const std::string misspelt = spec.name + "s";
    const std::string said = refusal(make, required(name), misspelt, std::int64_t{1});
    EXPECT_NE(said.find(prefix + "." + misspelt), std::string::npos) << key;
    EXPECT_NE(said.find("did you mean " + spec.name), std::string::npos) << said;
  }
}

TEST(Options, EverySchedulerSaysWhatItTakesAndTakesWhatItSays) {
  const TunerOptions tuner{.max_steps = 100};
  for (const SchedulerKind& kind : schedulers()) {
    EXPECT_FALSE(kind.what.empty()) << kind.name;
    check_options("tune.scheduler", kind.name, kind.options, [&](const Params& params) {
      make_scheduler(kind.name, {params, space(), tuner});
    });
  }
}

TEST(Options, EverySamplerSaysWhatItTakesAndTakesWhatItSays) {
  for (const SamplerKind& kind : samplers()) {
    EXPECT_FALSE(kind.what.empty()) << kind.name;
    check_options("tune.sampler", kind.name, kind.options, [&](const Params& params) {
      make_sampler(kind.name, {params, space(), 0});
    });
  }
}

TEST(Options, ReadAsOneLineEach) {
  EXPECT_EQ(describe(whole_option("min_steps", "the first rung", 1, 1)),
            "min_steps: the first rung; a whole number from 1, default 1");
  EXPECT_EQ(
      describe(without(number_option("lower", "stops below it", std::nullopt, -OptionSpec::kNoLimit), "no bound")),
      "lower: stops below it; a number, default no bound");
  EXPECT_EQ(describe(choice_option("peers", "who", {"running", "completed"})),
            "peers: who; one of running, completed, default running");
  EXPECT_EQ(describe(flag_option("guard", "on", true)), "guard: on; true or false, default true");
}

}  // namespace
}  // namespace finetune::testing
