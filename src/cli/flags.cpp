#include "cli/flags.h"

#include <algorithm>

namespace finetune {

bool Verb::takes_key(const std::string& key) const {
  return !flag_of(key).empty();
}

std::string Verb::flag_of(const std::string& key) const {
  for (const Flag& flag : flags) {
    if (std::find(flag.keys.begin(), flag.keys.end(), key) != flag.keys.end()) return flag.name + " " + flag.value;
  }
  return "";
}

Flag json_flag() {
  return {"--json", "", "the result as one JSON object on stdout", {}, Flag::Takes::nothing};
}

Flag trace_flag() {
  return {"--trace-state", "FILE", "write a hash of the whole state after each round, to compare two runs by"};
}

Flag profile_flag() {
  return {"--profile", "", "say at the end where the time went", {"run.profile"}, Flag::Takes::nothing};
}

Flag model_flag() {
  return {"--model", "DIR", "HuggingFace checkpoint folder", {"model.path"}};
}

Flag adapter_flag() {
  return {"--adapter", "DIR", "PEFT adapter folder", {"model.adapter"}};
}

Flag data_flag() {
  return {"--data", "FILE", "what to evaluate on", {"data.valid"}, Flag::Takes::many};
}

Flag devices_flag() {
  return {"--devices", "LIST", "cpu, cuda:0 ...; commas between several", {"run.devices"}, Flag::Takes::many_commas};
}

std::vector<Flag> out_flags() {
  return {{"--out", "DIR", "folder for the results", {"run.out"}},
          {"--overwrite", "", "replace what is in --out", {}, Flag::Takes::nothing}};
}

std::vector<Flag> training_flags(const std::string& trials_help) {
  return {
      model_flag(),
      {"--train", "FILE", "training data, a file or a folder; may be repeated", {"data.train"}, Flag::Takes::many},
      {"--valid", "FILE", "validation data, a file or a folder; may be repeated", {"data.valid"}, Flag::Takes::many},
      {"--steps", "N", "optimizer steps of a full trial", {"train.steps"}},
      {"--trials", "N", trials_help, {"tune.trials"}},
      {"--seed", "N", "of training and of the tuner", {"train.seed", "tune.seed"}},
      devices_flag()};
}

std::vector<Flag> operator+(std::vector<Flag> left, const std::vector<Flag>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace finetune
