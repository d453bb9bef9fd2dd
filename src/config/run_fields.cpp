#include "config/field_makers.h"
#include "config/sections.h"
#include "core/metric.h"
#include "core/operation_names.h"

namespace finetune {
namespace {

Field metrics_field() {
  const std::string key = "run.metrics";
  Field field = list_field(key, "computed and logged besides tune.metric: " + join(metric_names(), "|"),
                           FINETUNE_AT(run.metrics));
  field.set = [key, set = field.set](RunConfig& c, const ConfigNode& n) {
    set(c, n);
    for (const std::string& name : c.run.metrics) {
      try {
        metric_named(name);
      } catch (const Error& error) {
        throw bad_input("", key + ": " + error.what());
      }
    }
  };
  return field;
}

// Compositions of LibTorch's operations, kernels of this program, or a list of the operations that get theirs.
Field kernels_field() {
  const std::string key = "run.kernels";
  Field field = list_field(key,
                           "auto, composition (LibTorch's operations), written (kernels of this program), or what a "
                           "calibration chose: a list of the operations with kernels, and graphs",
                           FINETUNE_AT(run.kernels));
  field.set = [key, set = field.set](RunConfig& c, const ConfigNode& n) {
    set(c, n);
    std::vector<std::string>& given = c.run.kernels;
    const bool one = given.size() == 1 && (given[0] == "auto" || given[0] == "composition" || given[0] == "written");
    std::vector<std::string> names(std::begin(kOperationNames), std::end(kOperationNames));
    names.emplace_back("graphs");
    for (std::size_t i = 0; i < given.size(); ++i) {
      const std::string& name = given[i];
      if (!one && (name == "auto" || name == "composition" || name == "written"))
        throw bad_input("", key + ": " + name + " stands alone, not in a list");
      if (std::find(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(i), name) !=
          given.begin() + static_cast<std::ptrdiff_t>(i))
        throw bad_input("", key + ": " + name + " is named twice");
      if (!one && std::ranges::find(names, name) == names.end())
        throw bad_input(
            "", key + ": " + name + " is not one of auto, composition, written (alone), or of " + join(names, ", "));
    }
    if (given.empty())
      throw bad_input("", key + ": the list is empty; composition says that no operation has a kernel");
  };
  return field;
}

}  // namespace

std::vector<Field> run_fields() {
  return {text_field("run.out", "folder for the results", FINETUNE_AT(run.out)),
          {"run.devices", "auto, cpu, cuda:0, or a list",
           [](RunConfig& c, const ConfigNode& n) {
             c.run.devices = texts_of("run.devices", n);
             if (c.run.devices == std::vector<std::string>{"auto"}) c.run.devices.clear();
             for (const auto& name : c.run.devices) {
               const bool gpu = name.starts_with("cuda:") && name.size() > 5 && name.size() < 9 &&
                                std::all_of(name.begin() + 5, name.end(), [](char d) { return d >= '0' && d <= '9'; });
               if (name != "cpu" && !gpu)
                 throw bad_input("", "run.devices: " + name + " is not a device; allowed: auto, cpu, cuda:N");
             }
           },
           [](const RunConfig& c) {
             return c.run.devices.empty() ? ConfigNode::of(std::string("auto")) : list_node(c.run.devices);
           }},
          optional_whole_field(
              "run.lanes",
              "lanes per device, which divide its processors: a number, or auto (measured before the first "
              "step; last bits depend on it, and run.yaml says what it came to)",
              FINETUNE_AT(run.lanes), 1, "auto"),
          optional_whole_field("run.threads", "processor threads that all lanes share: a number or auto",
                               FINETUNE_AT(run.threads), 1, "auto"),
          text_field("run.numerics",
                     "reproducible: every run with the same run.lanes gives the same bits; on a CPU also "
                     "whoever trains beside a trial",
                     FINETUNE_AT(run.numerics), {"reproducible", "fast"}),
          kernels_field(),
          optional_whole_field("run.tokens_per_pass", "tokens of one forward and backward: a number or auto",
                               FINETUNE_AT(run.tokens_per_pass), 8, "auto"),
          whole_field("run.eval_every", "evaluate every N steps besides milestones; 0 = off",
                      FINETUNE_AT(run.eval_every), 0),
          metrics_field(),
          flag_field("run.profile",
                     "measure each part of a step, and say at the end of train or tune where the time went; "
                     "changes no result",
                     FINETUNE_AT(run.profile)),
          optional_whole_field(
              "run.save_every",
              "save the whole state every N rounds, for `resume`: a number, 0 for never, or auto (at rungs "
              "and about once a minute, in at most a fiftieth of the time)",
              FINETUNE_AT(run.save_every), 0, "auto")};
}

}  // namespace finetune
