// Any bytes as a part of a save: JSON is a study's state, everything else an image of a trial. Either an Error, or a
// state that is the same once it is written and read again, and an image whose arrays lie in it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/strict_json.h"
#include "engine/study_json.h"
#include "study/image_file.h"

namespace {

constexpr std::size_t kLanes = 2;

struct NamedImage : finetune::TrialImage {
  explicit NamedImage(std::string text) : name(std::move(text)) {}
  finetune::ImageParts parts() const override { return {}; }
  std::string name;
};

std::shared_ptr<const finetune::TrialImage> image_named(const std::string& name) {
  return std::make_shared<NamedImage>(name);
}

std::string name_of(const std::shared_ptr<const finetune::TrialImage>& image) {
  return dynamic_cast<const NamedImage&>(*image).name;
}

void read_state(const std::string& content) {
  const auto json = finetune::parse_strict_json("fuzz", content);
  const auto once = to_json(finetune::study_from_json(json, kLanes, image_named), name_of);
  // What was read is whole: it is read again, and is the same.
  try {
    if (to_json(finetune::study_from_json(once, kLanes, image_named), name_of) != once) std::abort();
  } catch (const finetune::Error&) {
    std::abort();
  }
}

void read_image(const std::string& content) {
  const finetune::ImageFile file("fuzz", content);
  volatile float last = 0;  // every value can be read
  for (const auto& [name, values] : file.parts().arrays) {
    for (const float value : values) last = value;
  }
  static_cast<void>(last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string content(reinterpret_cast<const char*>(data), size);
  try {
    if (content.starts_with('{'))
      read_state(content);
    else
      read_image(content);
  } catch (const finetune::Error&) {
  }
  return 0;
}
