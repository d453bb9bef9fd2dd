#include "study/state_trace.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/content_hash.h"
#include "core/error.h"
#include "engine/study_json.h"

namespace finetune {
namespace {

std::string hash_of(const TrialImage& image) {
  const ImageParts parts = image.parts();
  ContentHash hash;
  hash.add(parts.values.dump());
  for (const auto& [name, values] : parts.arrays) {
    hash.add(name);
    hash.add({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  return hash.text();
}

}  // namespace

std::string trace_line(const StudyState& state) {
  std::map<const TrialImage*, std::string> hashes;
  const auto name = [&](const std::shared_ptr<const TrialImage>& image) {
    std::string& hash = hashes[image.get()];
    if (hash.empty()) hash = hash_of(*image);
    return hash;
  };
  return std::to_string(state.rounds) + " " + content_hash(to_json(state, name).dump()) + "\n";
}

void StateTrace::save(const StudyState& snapshot) {
  file_.add(trace_line(snapshot));
  file_.flush();
}

void StateTrace::not_saved(std::int64_t round) {
  throw failed(file_.path().string(), "out of memory for the state after round " + std::to_string(round));
}

}  // namespace finetune
